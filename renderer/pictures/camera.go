package pictures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bep/imagemeta"
)

// Camera is the EXIF data of a picture. A field is zero when the file lacks it or its value is impossible. The place
// where the picture was taken is not read.
type Camera struct {
	Model       string // Maker and model, "FUJIFILM X-T5"; at most 100 bytes, printable.
	Lens        string
	Aperture    float64   // f-number.
	Exposure    string    // Seconds, as a photographer writes them: "1/250", "0.8", "30".
	ISO         int       //
	FocalMM     float64   // Millimetres, as engraved on the lens.
	TakenAt     time.Time // The camera's clock, UTC where it does not say which zone.
	HasTaken    bool      //
	orientation orientation
}

const (
	// exifBudget bounds the time spent on a file's metadata. Real ones take well under a millisecond.
	exifBudget    = 250 * time.Millisecond
	exifTagLimit  = 1000
	maxCameraText = 100
)

var errBudget = errors.New("metadata took too long")

// readCamera reads the EXIF data of a file of format f, and its title (IPTC). Bad metadata is no reason to refuse a
// picture: unreadable fields are left out.
//
// The decoder's own Timeout option is not used: when it fires, the decoder's goroutine keeps reading from a buffer
// that was already returned for the next call. Instead the reader and the tag filter stop at the deadline.
func readCamera(ctx context.Context, f format, data []byte) (c Camera, title string) {
	if f.meta == imagemeta.ImageFormatAuto {
		return Camera{}, ""
	}
	deadline := time.Now().Add(exifBudget)
	late := func() bool { return ctx.Err() != nil || time.Now().After(deadline) }
	var maker, model, taken, zone string
	handle := func(tag imagemeta.TagInfo) error {
		if late() {
			return imagemeta.ErrStopWalking
		}
		switch tag.Tag {
		case "Make":
			maker = cleanText(tag.Value)
		case "Model":
			model = cleanText(tag.Value)
		case "LensModel":
			c.Lens = cleanText(tag.Value)
		case "FNumber":
			c.Aperture = within(number(tag.Value), 0.5, 128)
		case "ExposureTime":
			c.Exposure = exposureText(number(tag.Value))
		case "ISO":
			c.ISO = int(within(number(tag.Value), 1, 10_000_000))
		case "FocalLength":
			c.FocalMM = within(number(tag.Value), 0.1, 10_000)
		case "Orientation":
			c.orientation = orientation(within(number(tag.Value), 1, 8))
		case "DateTimeOriginal":
			taken = cleanText(tag.Value)
		case "OffsetTimeOriginal":
			zone = cleanText(tag.Value)
		case "ObjectName":
			title = cleanText(tag.Value)
		}
		return nil
	}
	// The error is of no use: what was read before it stands, and the rest of a broken block is not there to be read.
	_, _ = imagemeta.Decode(imagemeta.Options{
		R:            &lateReader{ReadSeeker: bytes.NewReader(data), late: late},
		ImageFormat:  f.meta,
		Sources:      imagemeta.EXIF | imagemeta.IPTC,
		LimitNumTags: exifTagLimit,
		LimitTagSize: 1 << 10,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool {
			return (strings.HasPrefix(t.Namespace, "IFD0") || t.Source == imagemeta.IPTC) && !late()
		},
		HandleTag: handle,
	})
	c.Model = modelName(maker, model)
	c.TakenAt, c.HasTaken = takenTime(taken, zone)
	if f.name == heic.name { // its decoder turns the picture, as other parts of the file say
		c.orientation = 0
	}
	return c, title
}

type lateReader struct {
	io.ReadSeeker
	late func() bool
}

func (r *lateReader) Read(p []byte) (int, error) {
	if r.late() {
		return 0, errBudget
	}
	return r.ReadSeeker.Read(p)
}

// modelName joins maker and model, which many cameras repeat: "Canon" and "Canon EOS R6".
func modelName(maker, model string) string {
	first, _, _ := strings.Cut(maker, " ")
	if model == "" || first == "" || strings.HasPrefix(strings.ToLower(model), strings.ToLower(first)) {
		return model
	}
	return cleanText(maker + " " + model)
}

func takenTime(taken, zone string) (time.Time, bool) {
	t, err := time.Parse("2006:01:02 15:04:05-07:00", taken+zone)
	if err != nil {
		t, err = time.Parse("2006:01:02 15:04:05", taken)
	}
	if err != nil || t.Year() < 1826 { // The first photograph; unset camera clocks write the year 0.
		return time.Time{}, false
	}
	return t.UTC(), true
}

// exposureText writes seconds as cameras do: fractions below a third of a second, decimals above.
func exposureText(seconds float64) string {
	switch s := within(seconds, 1e-6, 1e6); {
	case s == 0:
		return ""
	case s < 0.3:
		return fmt.Sprintf("1/%.0f", 1/s)
	default:
		return strconv.FormatFloat(math.Round(s*10)/10, 'f', -1, 64)
	}
}

// within returns v, or 0 when it is not between low and high (or not a number).
func within(v, low, high float64) float64 {
	if v >= low && v <= high {
		return v
	}
	return 0
}

func number(v any) float64 {
	switch n := v.(type) {
	case interface{ Float64() float64 }: // imagemeta.Rat
		return n.Float64()
	case float64:
		return n
	case float32:
		return float64(n)
	case uint8:
		return float64(n)
	case uint16:
		return float64(n)
	case uint32:
		return float64(n)
	case int32:
		return float64(n)
	case int:
		return float64(n)
	}
	return 0
}

// cleanText removes what cannot be shown: the text in a file may be anything.
func cleanText(v any) string {
	s, ok := v.(string)
	if !ok || !utf8.ValidString(s) {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	for len(s) > maxCameraText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// orientation is EXIF's: how the stored rows and columns lie on what the photographer saw. 0 and 1 mean as stored.
// 2 to 4 mirror and turn half round; 5 to 8 also swap width and height (TIFF 6.0, tag 274).
type orientation int

func (o orientation) swaps() bool { return o >= 5 }

// apply gives the size as seen of a picture stored with the given size.
func (o orientation) apply(size image.Point) image.Point {
	if o.swaps() {
		return image.Pt(size.Y, size.X)
	}
	return size
}
