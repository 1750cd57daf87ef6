package pictures

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/bep/imagemeta"
	"golang.org/x/image/webp"
)

// format is a kind of file that Ingest takes. The decoders are listed here, not found by image.Decode, whose list any
// imported package can extend.
type format struct {
	name   string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error) // The first frame only, where there are several.
	ends   func([]byte) bool                    // Whether the end of the picture is there.
	meta   imagemeta.ImageFormat                // ImageFormatAuto where there is no EXIF to read.
}

// sniff finds the format by the first bytes of a file. Names and media types of uploads prove nothing.
func sniff(data []byte) (format, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return format{"jpeg", jpeg.DecodeConfig, jpeg.Decode, jpegEnds, imagemeta.JPEG}, nil
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return format{"png", png.DecodeConfig, png.Decode, pngEnds, imagemeta.PNG}, nil
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return format{"gif", gif.DecodeConfig, gif.Decode, gifEnds, imagemeta.ImageFormatAuto}, nil
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return format{"webp", webp.DecodeConfig, webp.Decode, webpEnds, imagemeta.WebP}, nil
	case isHEIC(data):
		return heic, nil
	}
	return format{}, refuseFormat(looksLike(data))
}

// looksLike names formats that people upload by mistake, so that the refusal can say so; "" for others.
func looksLike(data []byte) string {
	head := bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 512)]))
	switch {
	case bytes.Contains(head, []byte("<svg")):
		return "an SVG drawing"
	case bytes.HasPrefix(head, []byte("<!doctype html")), bytes.HasPrefix(head, []byte("<html")):
		return "a web page"
	case bytes.HasPrefix(head, []byte("%pdf-")):
		return "a PDF document"
	case bytes.HasPrefix(head, []byte("ii*\x00")), bytes.HasPrefix(head, []byte("mm\x00*")):
		return "a TIFF or raw file"
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return "an AVIF or video file"
	}
	return ""
}

// maxRatio is the largest ratio of a picture's sides. Panoramas seldom exceed 10; beyond maxRatio a derivative would
// be a line.
const maxRatio = 40

// measure reads the picture's header only, and refuses what would be too much to decode.
func (f format) measure(data []byte, maxPixels int) (image.Config, error) {
	cfg, err := f.config(bytes.NewReader(data))
	if err != nil {
		return cfg, refuseDamaged(err)
	}
	w, h := cfg.Width, cfg.Height
	switch {
	case w <= 0 || h <= 0:
		return cfg, refuseNoPixels(w, h)
	case w > maxPixels/h: // As a division: the product of two large sides could wrap.
		return cfg, refusePixels(w, h, maxPixels)
	case w > maxRatio*h || h > maxRatio*w:
		return cfg, refuseNarrow(w, h)
	}
	return cfg, nil
}

// pixels decodes the picture. A decoder's panic is the file's fault and not the program's end.
func (f format) pixels(data []byte) (img image.Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			img, err = nil, refuseDamaged(fmt.Errorf("%s decoder panicked: %v", f.name, r))
		}
	}()
	img, err = f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, refuseDamaged(err)
	}
	if img.Bounds().Empty() { // A GIF's first frame may be smaller than the GIF.
		return nil, refuseNoPixels(img.Bounds().Dx(), img.Bounds().Dy())
	}
	return img, nil
}
