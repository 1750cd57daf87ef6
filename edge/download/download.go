// Package download sends files that are made of chunks which renderers hold: originals, and zip files of them.
//
// Input: a [File], which says of which pieces it is made, from any place on. Output: an io.ReadSeeker, as
// http.ServeContent wants it, so ranges, conditions and HEAD are net/http's. At most two chunks of a download are in
// memory: one that is being written, and one that is fetched meanwhile.
//
// Must not touch: the bus, sessions and HTTP, which are its users'.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Piece is a part of a file.
type Piece struct {
	Bytes []byte // what it is, unless there is a Fetch
	Size  int    // of what Fetch returns, in bytes
	// Fetch gets the bytes. done is called when they are sent; nil: nothing has to know.
	Fetch func(ctx context.Context) (data []byte, done func(), err error)
}

func (p Piece) size() int {
	if p.Fetch != nil {
		return p.Size
	}
	return len(p.Bytes)
}

// File is a file that is made while it is sent. It has the same bytes each time.
type File struct {
	Size int64
	// From yields the pieces from a place on, each once, until end at least: what is behind end is not read. It may
	// fetch what it needs to know them; the piece with an error is the last one.
	From func(ctx context.Context, offset, end int64) iter.Seq2[Piece, error]
}

// ahead is how many chunks of a download are in memory.
const ahead = 2

// Reader reads a file. Its methods are for one goroutine, so http.ServeContent must get no request for several ranges,
// which it reads in a goroutine of its own. The caller must close it.
type Reader struct {
	ctx    context.Context
	file   File
	offset int64
	end    int64    // nothing is fetched from here on
	begun  *reading // nil: reading begins with the next Read
	err    error
}

// Open returns a reader of f that ends with ctx.
func (f File) Open(ctx context.Context) *Reader { return &Reader{ctx: ctx, file: f, end: f.Size} }

// Err is the error that ended reading, if one did.
func (r *Reader) Err() error { return r.err }

// Close ends what is fetched ahead, and waits for that.
func (r *Reader) Close() error {
	if r.begun != nil {
		r.begun.stop()
		r.begun = nil
	}
	return nil
}

// Limit says that n bytes are wanted from where the reader is, until the next Seek. So no more are fetched.
func (r *Reader) Limit(n int64) {
	_ = r.Close() // it has no error
	r.end = min(r.offset+n, r.file.Size)
}

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.file.Size
	}
	if offset < 0 {
		return r.offset, errors.New("download: a place before the beginning of the file")
	}
	if offset != r.offset {
		_ = r.Close() // it has no error
		r.offset, r.end = offset, r.file.Size
	}
	return offset, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case r.offset >= r.end:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case r.begun == nil:
		r.begun = r.file.begin(r.ctx, r.offset, r.end)
	}
	data, err := r.begun.next()
	if err != nil {
		r.err = fmt.Errorf("download: at byte %d: %w", r.offset, err)
		return 0, r.err
	}
	n := copy(p, data[:min(int64(len(data)), r.end-r.offset)])
	r.begun.took(n)
	r.offset += int64(n)
	return n, nil
}

// reading is the pieces of a file on their way, from one place on.
type reading struct {
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}     // closed when everything has ended
	coming chan chan fetched // in order
	free   chan struct{}     // as many values as chunks may be in memory
	now    []byte            // what is left of the first piece
	counts bool              // it was fetched
	sent   func()            // says that nothing is left; nil: nobody has to know
}

type fetched struct {
	data   []byte
	counts bool
	done   func()
	err    error
}

// errShort: the pieces of a file are fewer than its size says, or a chunk is not as long as it should be.
var errShort = errors.New("a chunk has another length than was announced")

func (f File) begin(ctx context.Context, offset, end int64) *reading {
	ctx, cancel := context.WithCancel(ctx)
	r := &reading{ctx: ctx, cancel: cancel, done: make(chan struct{}), coming: make(chan chan fetched, ahead),
		free: make(chan struct{}, ahead)}
	for range ahead {
		r.free <- struct{}{}
	}
	go r.run(f, offset, end)
	return r
}

// run passes pieces to coming until they reach end, there are none, one fails to be named, or ctx ends.
func (r *reading) run(f File, offset, end int64) {
	running := make(chan struct{}, ahead) // a value for each fetch under way
	defer close(r.done)
	defer func() { // a fetch that ends makes room for one value
		for range ahead {
			running <- struct{}{}
		}
	}()
	defer close(r.coming)
	for piece, err := range f.From(r.ctx, offset, end) {
		place := make(chan fetched, 1)
		switch {
		case err != nil:
			place <- fetched{err: err}
		case piece.Fetch == nil:
			place <- fetched{data: piece.Bytes}
		default:
			select {
			case <-r.ctx.Done():
				return
			case <-r.free:
			}
			running <- struct{}{}
			go func() {
				defer func() { <-running }()
				data, done, err := piece.Fetch(r.ctx)
				if err == nil && len(data) != piece.size() {
					err = errShort
				}
				place <- fetched{data, true, done, err}
			}()
		}
		select {
		case <-r.ctx.Done():
			return
		case r.coming <- place:
		}
		if offset += int64(piece.size()); err != nil || offset >= end {
			return
		}
	}
}

// next returns what is left of the first piece, which is not empty.
func (r *reading) next() ([]byte, error) {
	for len(r.now) == 0 {
		place, ok := <-r.coming
		if !ok {
			if err := context.Cause(r.ctx); err != nil {
				return nil, err
			}
			return nil, errShort
		}
		var piece fetched
		select {
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		case piece = <-place:
		}
		if piece.err != nil {
			return nil, piece.err
		}
		r.now, r.counts, r.sent = piece.data, piece.counts, piece.done
	}
	return r.now, nil
}

// took says that n bytes of next are used.
func (r *reading) took(n int) {
	if r.now = r.now[n:]; len(r.now) > 0 {
		return
	}
	if r.now = nil; r.sent != nil {
		r.sent()
		r.sent = nil
	}
	if r.counts {
		r.counts = false
		r.free <- struct{}{}
	}
}

func (r *reading) stop() {
	r.cancel()
	<-r.done
}
