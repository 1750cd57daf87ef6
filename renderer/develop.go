package renderer

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

const (
	// developQueue is how many pictures wait in memory. Further ones are taken when they are due.
	developQueue = 256
	// developTries is how often a picture is taken before it is given up: no derivatives of it are made any more. Each
	// try but the first follows one in which a process ended, this one or that which decodes for it, which is killed
	// when it takes too long. Its photos stay: other pictures may have been to blame.
	developTries = 10
	developLimit = 50 * time.Second // shorter than the minute for which a picture is taken
)

// undeveloped is a picture that was stored without being decoded.
type undeveloped struct {
	image          string
	taken          bool           // it is this renderer's to make; otherwise somebody may have taken it
	times          int            // that it was taken
	upload         store.UploadID // what it came by, if this renderer made the photo
	photo, version int64
	sums           *store.Checksums // nil: they are not known
}

// develop has a picture made soon, by this renderer if it is not busy.
func (s *Service) develop(p undeveloped) {
	select {
	case s.undeveloped <- p:
	default: // the renderer that relays finds it when it is due
	}
}

// developer makes the derivatives of pictures until ctx ends, and finishes one under held.
func (s *Service) developer(ctx, held context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.undeveloped:
			err := contained(func() error { return s.developOne(held, p) })
			if err != nil && held.Err() == nil {
				s.log.Warn("derivatives not made", "image", p.image, "err", err)
			}
		}
	}
}

// takeDue takes a picture that is due, because the renderer that stored it has not made it. It reports whether there
// was one.
func (s *Service) takeDue(ctx context.Context) (bool, error) {
	if len(s.undeveloped) > 0 { // what is taken is to be made within its minute
		return false, nil
	}
	image, times, err := s.store.TakePicture(ctx, "")
	if err != nil || image == "" {
		return false, err
	}
	s.develop(undeveloped{image: image, taken: true, times: times})
	return true, nil
}

// developOne decodes a picture, makes its derivatives, and notes its colour. Photos of one that cannot be decoded are
// removed.
func (s *Service) developOne(ctx context.Context, p undeveloped) (err error) {
	ctx, cancel := context.WithTimeout(ctx, developLimit)
	defer cancel()
	release, err := s.decoders.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if !p.taken {
		taken, times, err := s.store.TakePicture(ctx, p.image)
		if err != nil || taken == "" {
			return err
		}
		p.times = times
	}
	if p.times > developTries {
		stored, err := pictures.IsStored(ctx, s.pictures, p.image)
		if err == nil && !stored {
			return s.store.PictureGone(ctx, p.image, p.times)
		}
		s.log.Error("a picture ends the process that decodes it: it is not decoded any more", "image", p.image)
		return errors.Join(err, s.store.PictureGivenUp(ctx, p.image, p.times))
	}
	im, err := pictures.Develop(ctx, s.pictures, p.image, func() {
		if p.upload.ID != "" {
			s.tellUpload(p.upload, wire.UploadEvent{Stage: wire.UploadThumbnails, Photo: p.photo, Version: p.version})
		}
	})
	refused, isRefused := errors.AsType[*pictures.RefusedError](err)
	switch {
	case err == nil:
		noted := s.noteChecksums(ctx, p) // first: pages are made anew after the other
		if err = s.store.PictureMade(ctx, p.image, im.Width, im.Height, im.Color); err == nil {
			s.relay.wake()
		}
		return errors.Join(err, noted)
	case isRefused:
		s.log.Info("picture cannot be decoded", "image", p.image, "err", err)
		return s.refusePicture(ctx, p.image, refused.Problem+" "+refused.Remedy)
	case errors.Is(err, fs.ErrNotExist): // its photos were deleted
		return s.store.PictureGone(ctx, p.image, p.times)
	case errors.Is(err, pictures.ErrCrashed): // this try counts: the picture may be to blame
		return err
	}
	return errors.Join(err, s.store.PicturePostponed(context.WithoutCancel(ctx), p.image, p.times))
}

// noteChecksums keeps the checksums of an original, and its format. Without them a zip file that has it takes longer to
// prepare, and the page of a HEIC file links to a form for others, which there is none of.
func (s *Service) noteChecksums(ctx context.Context, p undeveloped) error {
	if p.sums == nil {
		return nil
	}
	return s.store.NoteChecksums(ctx, p.image, *p.sums)
}

// refusePicture removes the photos of a picture that cannot be decoded.
func (s *Service) refusePicture(ctx context.Context, image, problem string) error {
	removed, err := s.store.RefusePicture(ctx, image, problem)
	if err != nil {
		return err
	}
	for _, r := range removed {
		var changes []wire.Change
		for _, c := range r.Changes() {
			changes = append(changes, wire.Change(c))
		}
		s.invalidateEarly(changes)
		if r.Upload.ID != "" {
			s.metrics.uploads.WithLabelValues("refused").Inc()
			s.tellUpload(r.Upload, wire.UploadEvent{Stage: wire.UploadRefused, Photo: r.Photo, Problem: problem})
		}
	}
	s.relay.wake()
	return nil
}

// sweepUploads forgets uploads that are older than a day, and removes from the staging area what belongs to none that
// is open.
func (s *Service) sweepUploads(ctx context.Context) (bool, error) {
	forgotten, err := s.store.ForgetUploads(ctx, uploadAge)
	if err != nil {
		return false, err
	}
	staged, err := s.staging.Staged(ctx)
	if err != nil || len(staged) == 0 {
		return forgotten > 0, err
	}
	all := make([]store.UploadID, len(staged))
	for i, u := range staged {
		all[i] = store.UploadID(u)
	}
	ended, err := s.store.EndedUploads(ctx, all)
	for _, u := range ended {
		err = errors.Join(err, s.staging.Discard(ctx, pictures.Upload(u)))
	}
	return forgotten > 0, err
}

// uploadAge is how long after its beginning an upload may be finished.
const uploadAge = 24 * time.Hour

// decoders bounds how many pictures are decoded at once, each in up to 480 MB.
type decoders chan struct{}

// acquire waits until a picture may be decoded. Call release when its pixels are not needed any more.
func (d decoders) acquire(ctx context.Context) (release func(), err error) {
	select {
	case d <- struct{}{}:
		return func() { <-d }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
