package pictures

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// Inspect says what is known of a file before it is decoded, and stores nothing. It refuses what is no picture, too
// large, or cut off, by header and structure alone, so it costs little whatever the file is. The size of a GIF is that
// of its header, the blur is [Undecoded]. Errors are those of [Ingest].
func Inspect(ctx context.Context, data []byte, limits Limits) (Image, error) {
	return InspectSummed(ctx, data, sha256.Sum256(data), limits)
}

// InspectSummed is [Inspect] of a file whose SHA-256 is known.
func InspectSummed(ctx context.Context, data []byte, sum [sha256.Size]byte, limits Limits) (Image, error) {
	limits = limits.withDefaults()
	switch {
	case len(data) == 0:
		return Image{}, refuseEmpty()
	case int64(len(data)) > limits.Bytes:
		return Image{}, refuseBytes(limits.Bytes)
	}
	_, result, err := inspect(ctx, data, limits)
	if err != nil {
		return Image{}, err
	}
	result.SHA256 = sum
	result.ID = idOf(result.SHA256)
	return result, nil
}

// inspect is [Inspect] without the id and the hash.
func inspect(ctx context.Context, data []byte, limits Limits) (format, Image, error) {
	f, err := sniff(data)
	if err != nil {
		return f, Image{}, err
	}
	if f.name == heic.name && !limits.HEIC {
		return f, Image{}, refuseHEIC()
	}
	header, err := f.measure(data, limits.Pixels)
	if err != nil {
		return f, Image{}, err
	}
	if err := f.complete(data); err != nil {
		return f, Image{}, err
	}
	if err := ctx.Err(); err != nil {
		return f, Image{}, fmt.Errorf("pictures: inspect: %w", err)
	}
	result := Image{Format: f.name, Width: header.Width, Height: header.Height, Bytes: int64(len(data)),
		Color: Undecoded}
	result.Camera, result.Title = readCamera(ctx, f, data)
	if result.Camera.orientation.swaps() {
		result.Width, result.Height = result.Height, result.Width
	}
	return f, result, nil
}
