package renderer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/wire"
)

// missingImageAge is how long a picture that is not there may be said not to be there: no scope tells when it arrives.
const missingImageAge = 5 * time.Second

// answerFiles is a turn of a file worker: it reads derivatives that are stored, and hands the requests for others to
// the picture workers, which decode. Reading has workers of its own so that it never waits for a picture to be decoded.
func (s *Service) answerFiles(ctx context.Context, jobs []*job) {
	var missing []*job
	s.guarded(func(ctx context.Context, jobs []*job) {
		for _, g := range s.begin(s.files, jobs) {
			if s.answerPicture(ctx, g, pictures.Stored) {
				continue
			}
			missing = append(missing, g...)
			for _, j := range g {
				j.work.passedOn = true
			}
		}
	})(ctx, jobs)
	for _, j := range missing { // Only now: from here on another worker holds them.
		j.work.passedOn = false
		j.endpoint.stats.requeued()
		if excess := s.images.put(j); excess != nil {
			s.refuse(excess, wire.ErrBusy)
		}
	}
}

// answerImages is a turn of a picture worker: it makes one derivative, for all that wait for it, and has it kept. There
// are few such workers, because each holds a whole decoded original in memory.
func (s *Service) answerImages(ctx context.Context, jobs []*job) {
	for _, g := range s.begin(s.images, jobs) {
		s.answerPicture(ctx, g, pictures.Derive)
	}
}

// answerPicture answers the requests of g with the derivative that get gives. It is false, and nothing is answered,
// when the derivative has to be made first.
func (s *Service) answerPicture(
	ctx context.Context, g []*job, get func(context.Context, pictures.Store, string, int) ([]byte, error),
) bool {
	ctx, cancel := s.context(ctx, [][]*job{g})
	defer cancel()
	ref := g[0].ref
	begun := time.Now()
	var jpeg []byte
	err := contained(func() (err error) {
		jpeg, err = get(ctx, s.pictures, ref.Name(), ref.Width())
		return err
	})
	if errors.Is(err, pictures.ErrNotKept) {
		s.log.Warn("a picture is made anew for each request", "subject", g[0].subject, "err", err)
		err = nil
	}
	timing := wire.Timing{Render: time.Since(begun)}
	switch {
	case err == nil:
		s.deliver(g, &wire.Reply{
			Status: http.StatusOK, ContentType: "image/jpeg", ETag: etag(jpeg), MaxAge: wire.FixedAge,
			ReadAt:    s.clock.Now(),
			Immutable: true, Body: jpeg,
		}, timing)
	case errors.Is(err, pictures.ErrNotStored):
		return false
	case errors.Is(err, fs.ErrNotExist):
		body := []byte("There is no such picture.\n")
		s.deliver(g, &wire.Reply{
			Status: http.StatusNotFound, ContentType: "text/plain; charset=utf-8", ETag: etag(body),
			MaxAge: missingImageAge,
			ReadAt: s.clock.Now(), Body: body,
		}, timing)
	default:
		s.fail(g, unlessAbandoned(ctx, fmt.Errorf("get the picture: %w", toWireError(err))))
	}
	return true
}
