package renderer

import (
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

// answerImages is a turn of a picture worker: it makes one derivative, for all that wait for it. Pictures have workers of their own, so
// that decoding never keeps a page waiting, and few of them, because each holds a whole decoded original in memory.
func (s *Service) answerImages(jobs []*job) {
	for _, g := range s.begin(jobs) {
		s.answerImage(g)
	}
}

func (s *Service) answerImage(g []*job) {
	ctx, cancel := s.context([][]*job{g})
	defer cancel()
	ref := g[0].ref
	begun := time.Now()
	var jpeg []byte
	err := contained(func() (err error) {
		jpeg, err = pictures.Derive(ctx, s.pictures, ref.Name(), ref.Width())
		return err
	})
	timing := wire.Timing{Render: time.Since(begun)}
	switch {
	case err == nil:
		s.deliver(g, &wire.Reply{
			Status: http.StatusOK, ContentType: "image/jpeg", ETag: etag(jpeg), MaxAge: wire.FixedAge, ReadAt: s.clock.Now(),
			Immutable: true, Body: jpeg,
		}, timing)
	case errors.Is(err, fs.ErrNotExist):
		body := []byte("There is no such picture.\n")
		s.deliver(g, &wire.Reply{
			Status: http.StatusNotFound, ContentType: "text/plain; charset=utf-8", ETag: etag(body), MaxAge: missingImageAge,
			ReadAt: s.clock.Now(), Body: body,
		}, timing)
	default:
		s.fail(g, unlessAbandoned(ctx, fmt.Errorf("make the picture: %w", judge(err))))
	}
}
