package renderer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

func parseFinish(u store.UploadID, by *shareVisit, m *nats.Msg) (actionFunc, error) {
	length, err := strconv.ParseInt(string(m.Data), 10, 64)
	switch {
	case err != nil || length < 0:
		return nil, wrong(fileField, "The length of the file is no number.")
	case length > wire.MaxUpload:
		return nil, wrong(fileField, "The file is larger than %d MiB.", wire.MaxUpload>>20)
	}
	return func(ctx context.Context, d *actionRun) (*outcome, error) {
		f := finishing{actionRun: d, upload: u, by: by, length: length}
		return f.run(ctx)
	}, nil
}

// finishing makes the photo of an upload. It may end after any step: a repetition, here or at another renderer, goes
// through all steps again, and each finds what was done. So what it leaves is a photo, or an upload that is open. The
// file is not decoded: that takes longest, and the photo is on pages by then, see developer.
type finishing struct {
	*actionRun
	upload store.UploadID
	by     *shareVisit      // of the guest who sends it; nil: its owner does
	length int64            // of the file
	sums   *store.Checksums // of an original that was stored just now; nil: none was
}

func (f *finishing) run(ctx context.Context) (*outcome, error) {
	file, err := f.staging.Assemble(ctx, pictures.Upload(f.upload), f.length)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, pictures.ErrMissingPiece) {
		return f.endedBefore(ctx, err)
	}
	if err != nil {
		return nil, uploadError(err)
	}
	defer f.close(file)
	sums := file.Checksums()
	im, err := pictures.InspectSummed(ctx, file.Data(), sums.SHA256,
		pictures.Limits{Bytes: wire.MaxUpload, HEIC: f.cfg.HEIC})
	if refused, ok := errors.AsType[*pictures.RefusedError](err); ok {
		f.log.Info("upload refused", "upload", f.upload.ID, "reason", refused.Reason, "err", refused.Err)
		out, err := f.endUpload(ctx, f.upload, refused.Problem+" "+refused.Remedy)
		if err != nil {
			return nil, err
		}
		return f.ended(out)
	}
	if err != nil {
		return nil, err
	}
	f.tellUpload(f.upload, wire.UploadEvent{Stage: wire.UploadChecked})
	out, err := fromRows(ctx, f.actionRun, func(ctx context.Context) (*store.Outcome, error) {
		if f.by != nil {
			return f.store.ReserveGuestUpload(ctx, f.by.hash, f.upload, im.ID, f.length)
		}
		return f.store.ReserveUpload(ctx, f.upload, im.ID, f.length)
	})
	if err != nil {
		return nil, f.toSender(err)
	}
	if out.Ended() {
		return f.ended(out)
	}
	if err := file.Keep(ctx, f.pictures, im.ID); err != nil {
		return nil, uploadError(err)
	}
	f.tellUpload(f.upload, wire.UploadEvent{Stage: wire.UploadStored})
	f.sums = checksumsOf(sums, &im)
	photo := uploadedPhoto(&im, out.Name)
	photo.Link = f.newLink()
	// Whatever has become of the upload, Postgres must hear that the original is stored, or nobody removes it.
	ctx = context.WithoutCancel(ctx)
	out, err = fromRows(ctx, f.actionRun, func(ctx context.Context) (*store.Outcome, error) {
		if f.by != nil {
			return f.store.FinishGuestUpload(ctx, f.by.hash, f.upload, photo, f.quota(), problemNoRoom, problemNoRoom)
		}
		return f.store.FinishUpload(ctx, f.upload, photo, f.quota(), f.tooManyBytes(), f.tooManyPhotos())
	})
	if errors.Is(err, store.ErrOtherBytes) {
		err = fmt.Errorf("%w: %w", wire.ErrConflict, err)
	}
	if err != nil {
		return nil, f.toSender(err)
	}
	return f.ended(out)
}

// toSender makes an error of Postgres one for who sends the file.
func (f *finishing) toSender(err error) error {
	if f.by != nil {
		return guestError(err)
	}
	return err
}

// endedBefore is the outcome of an upload of which not everything is staged, for the reason given.
func (f *finishing) endedBefore(ctx context.Context, why error) (*outcome, error) {
	out, err := f.uploadOf(ctx, f.upload)
	if err != nil {
		return nil, err
	}
	if !out.Ended() {
		return nil, uploadError(errors.Join(pictures.ErrMissingPiece, why))
	}
	return f.ended(out)
}

// ended is the outcome of an upload that has ended, now or before.
func (f *finishing) ended(out *store.Outcome) (*outcome, error) {
	if out.Problem != "" {
		f.metrics.uploads.WithLabelValues("refused").Inc()
		f.discard()
		f.tellUpload(f.upload, wire.UploadEvent{Stage: wire.UploadRefused, Problem: out.Problem})
		return nil, wrong(fileField, "%s", out.Problem)
	}
	kind := "photo"
	if out.Duplicate {
		kind = "duplicate"
	}
	f.metrics.uploads.WithLabelValues(kind).Inc()
	return &outcome{changes: out.Changes(), photo: out.Photo, duplicate: out.Duplicate, then: func() {
		live := wire.UploadEvent{Stage: wire.UploadLive, Photo: out.Photo, Version: out.Version}
		f.tellUpload(f.upload, live)
		if out.Made {
			live.Stage = wire.UploadThumbnails
			f.tellUpload(f.upload, live)
		} else {
			f.develop(undeveloped{image: out.Image, upload: f.upload, photo: out.Photo, version: out.Version,
				sums: f.sums})
		}
		f.discard()
	}}, nil
}

func (f *finishing) close(file pictures.Assembled) {
	if err := file.Close(); err != nil {
		f.log.Warn("upload in the staging area not closed", "upload", f.upload.ID, "err", err)
	}
}

// discard removes what is staged of an upload that has ended. What it leaves is found by sweepUploads.
func (f *finishing) discard() {
	if err := f.staging.Discard(context.Background(), pictures.Upload(f.upload)); err != nil {
		f.log.Warn("upload not removed from the staging area", "upload", f.upload.ID, "err", err)
	}
}

// uploadedPhoto is what is known of a photo: what its file says, and the file's name.
func uploadedPhoto(im *pictures.Image, name string) store.UploadedPhoto {
	c := &im.Camera
	photo := store.UploadedPhoto{Image: im.ID, Bytes: im.Bytes, Width: im.Width, Height: im.Height, Color: im.Color,
		Title: photoTitle(im.Title, name), Camera: c.Model, Lens: c.Lens, Aperture: c.Aperture, Exposure: c.Exposure,
		ISO: c.ISO, FocalMM: c.FocalMM}
	if c.HasTaken {
		photo.TakenAt = &c.TakenAt
	}
	return photo
}
