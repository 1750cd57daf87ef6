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

// missingImageAge is how long an answer, a 404 or a draft, may be used while the picture's original is missing. No
// scope tells when the original arrives.
const missingImageAge = 5 * time.Second

// answerFiles is a turn of a file worker. It reads stored derivatives and passes requests for the others to the
// picture workers, which decode. Separate workers keep reading from waiting behind decoding.
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
	for _, j := range missing { // only now: from here on the jobs belong to another worker
		j.work.passedOn = false
		j.endpoint.stats.requeued()
		if excess := s.images.put(j); excess != nil {
			s.refuse(excess, wire.ErrBusy)
		}
	}
}

// answerImages is a turn of a picture worker. It makes one derivative for all its requests and stores it. There are
// few such workers, because each holds a decoded original in memory.
func (s *Service) answerImages(ctx context.Context, jobs []*job) {
	for _, g := range s.begin(s.images, jobs) {
		s.answerPicture(ctx, g, s.derive)
	}
}

// derive is pictures.Derive when a picture may be decoded.
func (s *Service) derive(ctx context.Context, store pictures.Store, id string, width int) ([]byte, error) {
	release, err := s.decoders.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return pictures.Derive(ctx, store, id, width)
}

// answerPicture answers the jobs of g with the derivative from get. It returns false, and answers nothing, if the
// derivative must be made first.
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
	maxAge, immutable := wire.FixedAge, true
	if errors.Is(err, pictures.ErrDraft) {
		maxAge, immutable, err = missingImageAge, false, nil
	}
	if errors.Is(err, pictures.ErrNotKept) {
		s.log.Warn("picture not stored: it is made again for each request", "subject", g[0].subject, "err", err)
		err = nil
	}
	timing := wire.Timing{Render: time.Since(begun)}
	switch {
	case err == nil:
		s.deliver(g, &wire.Reply{
			Status: http.StatusOK, ContentType: "image/jpeg", ETag: etag(jpeg), MaxAge: maxAge,
			ReadAt:    s.clock.Now(),
			Immutable: immutable, Body: jpeg,
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
