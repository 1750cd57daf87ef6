package renderer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// missingImageAge is how long an answer, a 404 or a draft, may be used. No scope tells when a missing original arrives,
// and a 404 names no scope, as that would tell a picture that was hidden from one that never was.
const missingImageAge = 5 * time.Second

// answerFiles is a turn of a file worker. It reads stored derivatives and passes requests for the others to the
// picture workers, which decode. Separate workers keep reading from waiting behind decoding.
func (s *Service) answerFiles(ctx context.Context, jobs []*job) {
	s.passOnMissing(ctx, jobs, func(ctx context.Context, jobs []*job) []*job {
		return s.answerPictures(ctx, s.files, jobs, pictures.Stored)
	})
}

// passOnMissing runs a turn of a file worker, and gives the jobs that it returns to the picture workers.
func (s *Service) passOnMissing(
	ctx context.Context, jobs []*job, turn func(context.Context, []*job) (missing []*job),
) {
	var missing []*job
	s.guarded(func(ctx context.Context, jobs []*job) {
		missing = turn(ctx, jobs)
		for _, j := range missing {
			j.work.passedOn = true
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
	if jobs[0].action != nil { // a picture that not everybody may see; the pool gives it a turn of its own
		for _, g := range s.begin(s.images, jobs) {
			s.answerAction(ctx, g[0], s.derive)
		}
		return
	}
	s.answerPictures(ctx, s.images, jobs, s.derive)
}

// getPicture gets a derivative of an image in a width.
type getPicture func(ctx context.Context, store pictures.Store, image string, width int) ([]byte, error)

// readPictures reads rows of pictures. What no row shows has no version, so only the primary can say it.
var readPictures = reading[store.PictureFile]{
	func(ctx context.Context, from *Pages, refs []page.Ref) ([]store.PictureFile, error) {
		return from.files(ctx, refs)
	},
	func(file store.PictureFile) (time.Time, []wire.Dep) { return file.ReadAt, depends(file.Depends) },
}

// answerPictures answers jobs that a worker of p took, with the derivatives from get. One query reads the rows of all.
// It returns the jobs whose derivatives must be made first.
func (s *Service) answerPictures(ctx context.Context, p *pool, jobs []*job, get getPicture) (missing []*job) {
	groups := s.begin(p, jobs)
	if len(groups) == 0 {
		return nil
	}
	ctx, cancel := s.context(ctx, groups)
	defer cancel()
	refs := make([]page.Ref, len(groups))
	for i, g := range groups {
		refs[i] = g[0].ref
	}
	begun := time.Now()
	files, sources, err := newest(ctx, s, refs, wantsOf(groups), readPictures)
	p.read(jobs)
	sql := time.Since(begun)
	for i, g := range groups {
		switch {
		case err != nil:
			s.fail(g, unlessAbandoned(ctx, err))
		case sources[i] == wire.SourceReplica && files[i].ImageID == "": // the primary, which might show it, is away
			s.fail(g, wire.ErrUnavailable)
		case !s.answerPicture(ctx, g, &files[i], sources[i], sql, get):
			missing = append(missing, g...)
		}
	}
	return missing
}

// derive is pictures.Derive when a picture may be decoded. errors.Is(err, fs.ErrNotExist) holds for one that was given
// up: it would end this process for everybody.
func (s *Service) derive(ctx context.Context, store pictures.Store, id string, width int) ([]byte, error) {
	release, err := s.decoders.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	times, err := s.store.TimesTaken(ctx, id)
	if err != nil {
		return nil, err
	}
	if times > developTries {
		return nil, fmt.Errorf("picture %s was given up: %w", id, fs.ErrNotExist)
	}
	return pictures.Derive(ctx, store, id, width)
}

// answerPicture answers the jobs of g with the derivative from get. It returns false, and answers nothing, if the
// derivative must be made first. What no row shows, and what is in no file, gets the same answer.
func (s *Service) answerPicture(
	ctx context.Context, g []*job, file *store.PictureFile, source string, sql time.Duration, get getPicture,
) bool {
	begun := time.Now()
	var jpeg []byte
	err := contained(func() (err error) {
		if file.ImageID == "" {
			return fs.ErrNotExist
		}
		jpeg, err = get(ctx, s.pictures, file.ImageID, g[0].ref.Width())
		return err
	})
	maxAge, immutable := wire.PageAge, true
	if errors.Is(err, pictures.ErrDraft) {
		maxAge, immutable, err = missingImageAge, false, nil
	}
	if errors.Is(err, pictures.ErrNotKept) {
		s.warnNotKept(file.ImageID, err)
		err = nil
	}
	timing := wire.Timing{SQL: sql, Render: time.Since(begun)}
	switch {
	case err == nil:
		s.deliver(g, &wire.Reply{
			Status: http.StatusOK, ContentType: "image/jpeg", ETag: etag(jpeg), MaxAge: maxAge,
			ReadAt: file.ReadAt, Depends: depends(file.Depends), Immutable: immutable, Body: jpeg,
		}, source, timing)
	case errors.Is(err, pictures.ErrNotStored):
		return false
	case errors.Is(err, fs.ErrNotExist):
		body := []byte("There is no such picture.\n")
		s.deliver(g, &wire.Reply{
			Status: http.StatusNotFound, ContentType: "text/plain; charset=utf-8", ETag: etag(body),
			MaxAge: missingImageAge, ReadAt: s.clock.Now(), Body: body,
		}, "", timing)
	default:
		s.fail(g, unlessAbandoned(ctx, fmt.Errorf("get the picture: %w", toWireError(err))))
	}
	return true
}

func (s *Service) warnNotKept(image string, err error) {
	s.log.Warn("picture not stored: it is made again for each request", "image", image, "err", err)
}
