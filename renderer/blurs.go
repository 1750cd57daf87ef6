package renderer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// fillBlurs returns a step that gives an image of before blurs (migration 026) its own. What is left to do is in the
// rows, so whoever relays next goes on. One that cannot be read now is tried again once the others are done.
func (s *Service) fillBlurs() func(context.Context) (more bool, err error) {
	var after string // the image that was tried last
	return func(ctx context.Context) (bool, error) {
		image, err := s.store.NextFlatImage(ctx, after)
		after = image.ID
		if err != nil || image.ID == "" {
			return false, err
		}
		blur, err := s.blurOf(ctx, image)
		if err == nil {
			err = s.store.SetBlur(ctx, image, blur)
		}
		if err != nil {
			return false, fmt.Errorf("the blur of %s: %w", image.ID, err)
		}
		return true, nil
	}
}

// blurOf makes a blur from the smallest derivative of an image. Without a picture it is one of the colour of the image.
func (s *Service) blurOf(ctx context.Context, image store.FlatImage) (blur uint32, err error) {
	width := page.Widths()[0]
	jpeg, err := pictures.Stored(ctx, s.pictures, image.ID, width)
	if errors.Is(err, pictures.ErrNotStored) {
		jpeg, err = s.derive(ctx, s.pictures, image.ID, width)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return pictures.Flat(uint32(image.Color)), nil
	}
	if jpeg == nil {
		return 0, err
	}
	if blur, err = pictures.BlurOf(jpeg); err != nil {
		s.log.Warn("derivative cannot be decoded: its photos get a blur of one colour", "image", image.ID, "err", err)
		return pictures.Flat(uint32(image.Color)), nil
	}
	return blur, nil
}
