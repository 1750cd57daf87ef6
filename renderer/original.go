package renderer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

const (
	// originalWorkers read chunks of originals. Each holds one, and waits for the disk.
	originalWorkers = 4
	// originalQueue lets as many downloads wait as two edges have at once.
	originalQueue = 128
)

// originalRequest is a request for an original.
type originalRequest struct {
	user, photo int64
	file        string // of a chunk, as the edge knows it
	offset      int64
	length      int64 // bytes that are wanted
}

// originalEndpoints lists the requests for originals.
func originalEndpoints(bus *nats.Conn, workers *pool) []*endpoint {
	var all []*endpoint
	for _, e := range [...]struct {
		verb string
		run  func(ctx context.Context, d *actionRun, r originalRequest) (*outcome, error)
	}{{wire.OriginalHead, originalHead}, {wire.OriginalChunk, originalChunk}} {
		all = append(all, &endpoint{
			name: "original-" + e.verb, subjects: []string{wire.OriginalPattern(e.verb)}, pool: workers, bus: bus,
			parse: func(m *nats.Msg) (parsed, error) {
				_, user, photo, err := wire.ParseOriginal(m.Subject)
				if err != nil {
					return parsed{}, err
				}
				r := originalRequest{user: user, photo: photo, file: m.Header.Get(wire.HeaderFile)}
				if e.verb == wire.OriginalChunk {
					r.offset, err = strconv.ParseInt(m.Header.Get(wire.HeaderOffset), 10, 64)
					if err != nil || r.offset < 0 {
						return parsed{}, wrong(wire.HeaderOffset, "is no place in a file: give a number of bytes")
					}
				}
				r.length = wire.MaxChunk
				if text := m.Header.Get(wire.HeaderLength); text != "" {
					r.length, err = strconv.ParseInt(text, 10, 64)
					if err != nil || r.length < 1 || r.length > wire.MaxChunk {
						return parsed{}, wrong(wire.HeaderLength, "is no number of bytes from 1 to %d", wire.MaxChunk)
					}
				}
				return parsed{limit: wire.PageDeadline, action: &action{
					run: func(ctx context.Context, d *actionRun) (*outcome, error) { return e.run(ctx, d, r) },
				}}, nil
			},
		})
	}
	return all
}

// openOriginal opens what a requester may have of a photo. The caller closes it.
func (d *actionRun) openOriginal(ctx context.Context, r originalRequest) (*openedOriginal, error) {
	row, err := fromRows(ctx, d, func(ctx context.Context) (store.Original, error) {
		return d.store.Original(ctx, r.user, r.photo)
	})
	if err != nil {
		return nil, err
	}
	o := &openedOriginal{row: row, name: row.Image}
	if o.original, err = pictures.OpenOriginal(ctx, d.pictures, row.Image); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", wire.ErrNotFound, err)
		}
		return nil, err
	}
	o.size = o.original.Size
	if r.user == 0 {
		o.name = d.shared.name(row.Image)
		if o.shared, err = d.shared.of(row.Image, o.original); err != nil {
			return nil, errors.Join(err, o.original.Close())
		}
		o.size = o.shared.Size
	}
	return o, nil
}

// openedOriginal is an original, or the form of it that others get.
type openedOriginal struct {
	row      store.Original
	name     string // of the bytes
	size     int64
	original *pictures.Original
	shared   *pictures.Shared // nil: the original as it is
}

func (o *openedOriginal) ReadAt(p []byte, offset int64) (n int, err error) {
	if o.shared != nil {
		return o.shared.ReadAt(o.original, p, offset)
	}
	return o.original.ReadAt(p, offset)
}

func originalHead(ctx context.Context, d *actionRun, r originalRequest) (*outcome, error) {
	o, err := d.openOriginal(ctx, r)
	if err != nil {
		return nil, err
	}
	defer o.original.Close()
	media, extension := o.original.Type()
	data, err := wire.OriginalFile{File: o.name, Bytes: o.size, Type: media,
		Name: safeName(o.row.Title, fmt.Sprintf("photo-%d", r.photo)) + extension}.Encode()
	return &outcome{data: data}, err
}

func originalChunk(ctx context.Context, d *actionRun, r originalRequest) (*outcome, error) {
	o, err := d.openOriginal(ctx, r)
	if err != nil {
		return nil, err
	}
	defer o.original.Close()
	switch {
	case o.name != r.file:
		return nil, fmt.Errorf("%w: photo %d shows another original", wire.ErrConflict, r.photo)
	case r.offset >= o.size:
		return nil, wrong(wire.HeaderOffset, "is behind the end of the file, which has %d bytes", o.size)
	}
	buf := d.chunkBuffers.Get()
	data := buf[:min(r.length, o.size-r.offset)]
	n, err := o.ReadAt(data, r.offset)
	if err != nil && !(errors.Is(err, io.EOF) && n == len(data)) {
		d.chunkBuffers.Put(buf)
		return nil, fmt.Errorf("read an original: %w", err)
	}
	d.metrics.originalBytes.Add(float64(len(data)))
	return &outcome{data: data, then: func() { d.chunkBuffers.Put(buf) }}, nil
}
