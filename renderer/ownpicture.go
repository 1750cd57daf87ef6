package renderer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"

	"github.com/a-h/templ"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

const (
	// ownFileWorkers read stored pictures for people who may see more of their own than others do. Each waits for the
	// disk, and holds one file, 1 MiB at most.
	ownFileWorkers = 4
	// ownFileQueue lets ten people open a page of 48 such pictures at the same moment.
	ownFileQueue = 10 * 48
)

// findImage reads which original a visitor may see: its id in the picture store, or wire.ErrNotFound.
type findImage func(ctx context.Context, d *actionRun) (string, error)

// privatePicture is a request for a picture that not everybody may see, in one of page.Widths. Its pool is one of
// privateFiles: what is not stored is made by a picture worker, so private pages wait for no original that is decoded.
func privatePicture(width int, find findImage) (parsed, error) {
	if !slices.Contains(page.Widths(), width) {
		return parsed{}, wrong("width", "is none of those in which pictures are served")
	}
	return parsed{limit: wire.ImageDeadline, action: &action{dropped: true,
		run: func(ctx context.Context, d *actionRun) (*outcome, error) {
			return d.privatePicture(ctx, width, find)
		},
	}}, nil
}

// ownPicture is a request for the picture of a photo of one's own, whether others may see it or not.
func ownPicture(v visit, asked wire.PrivateRequest) (parsed, error) {
	id, problem := form{"id": asked.Values.Get("id")}.id()
	if problem != nil {
		return parsed{}, problem
	}
	width, _ := strconv.Atoi(asked.Values.Get("width")) // 0 is none of the widths
	return privatePicture(width, func(ctx context.Context, d *actionRun) (string, error) {
		return fromRows(ctx, d, func(ctx context.Context) (string, error) {
			return d.store.OwnPicture(ctx, v.user, id)
		})
	})
}

// privatePicture answers with a JPEG. With pictures.ErrNotStored it must be made first.
func (d *actionRun) privatePicture(ctx context.Context, width int, find findImage) (*outcome, error) {
	image, err := find(ctx, d)
	if err != nil {
		return nil, err
	}
	jpeg, err := d.picture(ctx, d.pictures, image, width)
	switch {
	case errors.Is(err, pictures.ErrNotKept):
		d.warnNotKept(image, err)
	case err == nil, errors.Is(err, pictures.ErrDraft):
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", wire.ErrNotFound, err)
	default:
		return nil, fmt.Errorf("get a private picture: %w", err)
	}
	return &outcome{view: templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := w.Write(jpeg)
		return err
	})}, nil
}

// privateFiles returns a pool for such requests. Its workers read stored derivatives, and pass other requests on.
func (s *Service) privateFiles(name string, workers, queue int, queued func(int)) (p *pool) {
	p = newPool(name, workers, queue, 1, queued, func(ctx context.Context, jobs []*job) {
		s.passOnMissing(ctx, jobs, func(ctx context.Context, jobs []*job) (missing []*job) {
			for _, g := range s.begin(p, jobs) {
				if !s.answerAction(ctx, g[0], pictures.Stored) {
					missing = append(missing, g[0])
				}
			}
			return missing
		})
	})
	return p
}
