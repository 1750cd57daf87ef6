package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/wire"
)

// Bounds of one upload.
const (
	maxOutstanding = 4 // buffers of one upload, so at most 2 MiB
	paceBytes      = 64 << 10
	paceTime       = 10 * time.Second // for each paceBytes or more: a sender slower than 6.4 KiB a second is cut
)

// Errors of bodies.
var (
	errSlow   = errors.New("the body arrives too slowly")
	errBroken = errors.New("the body ends too early")
	errLonger = errors.New("the body is longer than the upload")
	errSize   = fmt.Errorf("a file of more than %d MiB", wire.MaxUpload>>20)
)

// pacedBody is a body whose sender must keep a pace. While the edge reads nothing of it, time does not count.
type pacedBody struct {
	io.Reader
	deadline func(time.Time) error // of the connection, for reading
	left     int                   // bytes until the deadline moves
}

func (b *pacedBody) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left <= 0 {
		b.left = paceBytes
		if err := b.deadline(time.Now().Add(paceTime)); err != nil {
			return 0, err
		}
	}
	n, err = b.Reader.Read(p)
	b.left -= n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: %w", errSlow, err)
	}
	return n, err
}

// pause stops the time until the next Read.
func (b *pacedBody) pause() {
	b.left = 0
	_ = b.deadline(time.Time{}) // a connection that has failed says so at the next Read
}

// part is a body, or a piece of one, that goes to an upload.
type part struct {
	body io.Reader // io.EOF at its end, any other error if it is broken off
	pace *pacedBody
	from int64 // where it begins in the file
	end  int64 // the length of the file; -1: not known
	last bool  // the file ends where the body does
	tail tail  // bytes that come before body, if it has a buffer

	sender int64 // for whom the bounds of buffers hold; 0: the user
}

// sending is a part on its way to renderers.
type sending struct {
	part
	service *Service
	up      upload
	group   *errgroup.Group
	ctx     context.Context
	slots   chan struct{} // one for each buffer that the upload has
	filling func()        // ends the time in which a buffer of the user is filled; nil: none is

	at   int64  // where the chunk in buf begins in the file
	buf  []byte // nil: none
	size int    // bytes of buf that are read
}

// receive sends a part to renderers, chunk by chunk. It returns how much of the file is stored, when everything that
// was sent is. What fills no chunk is kept, or sent if the file ends there.
func (s *Service) receive(ctx context.Context, up upload, p part) (stored int64, err error) {
	p.sender = cmp.Or(p.sender, up.user)
	group, ctx := errgroup.WithContext(ctx)
	t := &sending{part: p, service: s, up: up, group: group, ctx: ctx, slots: make(chan struct{}, maxOutstanding)}
	if t.at = p.from; p.tail.buf != nil {
		t.at, t.buf, t.size = p.tail.at, p.tail.buf, p.tail.size
		t.slots <- struct{}{}
	}
	for more := true; more && err == nil; {
		more, err = t.next()
	}
	t.filled()
	p.pace.pause()
	err = errors.Join(group.Wait(), err)
	if t.buf != nil {
		t.leave(err)
	}
	return t.at, err
}

// next reads one chunk and sends it. It returns false at the end of the part.
func (t *sending) next() (more bool, err error) {
	end := t.end
	if end < 0 {
		end = wire.MaxUpload
	}
	room := int(min(wire.MaxChunk, end-t.at))
	if room == 0 {
		return false, t.nothingMore()
	}
	if err := t.needBuffer(room); err != nil {
		return false, err
	}
	for t.size < room {
		n, err := t.body.Read(t.buf[t.size:room])
		t.size += n
		switch {
		case errors.Is(err, io.EOF) && t.size < room:
			if t.last && t.size > 0 {
				t.send()
			}
			return false, nil
		case err != nil && !errors.Is(err, io.EOF):
			return false, fmt.Errorf("%w: %w", errBroken, err)
		}
	}
	if t.at+int64(room) == end {
		if err := t.nothingMore(); err != nil {
			return false, err
		}
	}
	t.send()
	return true, nil
}

// nothingMore returns an error unless the body has ended.
func (t *sending) nothingMore() error {
	switch n, err := io.ReadFull(t.body, make([]byte, 1)); {
	case n > 0 && t.end < 0:
		return errSize
	case n > 0:
		return errLonger
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return nil
}

// needBuffer waits until the upload may fill a buffer with so many bytes, and for that.
func (t *sending) needBuffer(room int) (err error) {
	if t.size == room {
		return nil
	}
	t.pace.pause()
	if t.buf != nil {
		t.filling, err = t.service.fillers.enter(t.ctx, t.sender)
		return err
	}
	select {
	case t.slots <- struct{}{}:
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
	if t.buf, t.filling, err = t.service.bufferOf(t.ctx, t.sender, len(t.slots) == 1); err != nil {
		<-t.slots
	}
	return err
}

// filled notes that the sender fills no buffer now.
func (t *sending) filled() {
	if t.filling != nil {
		t.filling()
		t.filling = nil
	}
}

// send sends the chunk that was read.
func (t *sending) send() {
	t.filled()
	buf, size, at := t.buf, t.size, t.at
	t.buf, t.size, t.at = nil, 0, at+int64(size)
	last := t.at == t.end || size < wire.MaxChunk
	t.group.Go(func() error {
		err := t.service.chunk(t.ctx, t.up, at, buf[:size], last)
		t.service.buffers.put(buf)
		<-t.slots
		if err == nil {
			t.service.received.Add(float64(size))
		}
		return err
	})
}

// leave keeps what was read and not sent, for a sender who goes on, unless the upload has failed.
func (t *sending) leave(err error) {
	if t.size > 0 && !t.last && (err == nil || errors.Is(err, errBroken) || errors.Is(err, errCrowded)) {
		t.service.tails.keep(tail{t.up, t.at, t.size, t.buf})
		return
	}
	t.service.buffers.put(t.buf)
}
