package templates

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		im   Image
		want string
	}{
		{Image{Width: 6000, Height: 4000, Blur: 1 | 31<<20 | 10<<25}, "x1 y5 aa bv f1"},
		{Image{Width: 4000, Height: 6000, Blur: 1<<30 | 2<<15 | 3<<10 | 4<<5}, "y6 z7 c2 d3 e4"},
		{Image{Width: 1000, Height: 1000}, "x1"},
		{Image{Width: 10, Height: 10_000}, "z5"},
		{Image{Width: 100_000, Height: 10}, "x9 y9 z9"},
		{Image{}, "x1"},
		{Image{Width: -1, Height: 3}, "x1"},
	} {
		if got := c.im.shape(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.im, got, c.want)
		}
	}
}

// The digits add up to the ratio, and each has its rule in the style sheet.
func TestShapeHasRules(t *testing.T) {
	t.Parallel()
	style, blur := testSite(t).asset(t, "app.css").Body, testSite(t).asset(t, "blur.css").Body
	rapid.Check(t, func(t *rapid.T) {
		im := Image{
			Width: rapid.IntRange(1, 20_000).Draw(t, "width"), Height: rapid.IntRange(1, 20_000).Draw(t, "height"),
			Blur: rapid.Uint32Range(0, 1<<31-1).Draw(t, "blur"),
		}
		values, packed := map[byte]float64{}, uint32(0)
		for _, class := range strings.Fields(im.shape()) {
			digit, err := strconv.ParseInt(class[1:], 32, 8)
			if err != nil {
				t.Fatal(err)
			}
			if class[0] < 'x' {
				packed |= uint32(digit) << (5 * ('f' - class[0]))
				if !bytes.Contains(blur, fmt.Appendf(nil, ".%s{--%c:#", class, class[0])) {
					t.Fatalf("blur.css has no rule for .%s", class)
				}
				continue
			}
			if !bytes.Contains(style, fmt.Appendf(nil, ".%s{--%c:%d}", class, class[0], digit)) {
				t.Fatalf("the style sheet has no rule for .%s", class)
			}
			values[class[0]] = float64(digit)
		}
		got := values['x'] + values['y']/10 + values['z']/100
		if want := min(max(float64(im.Width)/float64(im.Height), .05), 9.99); math.Abs(got-want) > .00501 {
			t.Fatalf("%d x %d is %v, not %v", im.Width, im.Height, want, got)
		}
		if packed != im.Blur&(1<<30-1) {
			t.Fatalf("%x became %x", im.Blur, packed)
		}
	})
}

func TestSources(t *testing.T) {
	t.Parallel()
	im := testImage(0)
	at := "/img/" + im.ID + "/"
	for width, want := range map[int]string{
		4000: "320.jpg 320w 640.jpg 640w 1280.jpg 1280w 2560.jpg 2560w",
		2560: "320.jpg 320w 640.jpg 640w 1280.jpg 1280w 2560.jpg 2560w",
		1600: "320.jpg 320w 640.jpg 640w 1280.jpg 1280w 2560.jpg 1600w", // no derivative is wider than the original
		500:  "320.jpg 320w 640.jpg 500w",
		320:  "320.jpg 320w",
		0:    "320.jpg 320w 640.jpg 640w 1280.jpg 1280w 2560.jpg 2560w", // unknown
	} {
		im.Width, im.Height = width, width*4/5
		want = strings.ReplaceAll(at+strings.ReplaceAll(want, "w ", "w,"), ",", ","+at)
		if got := im.srcset(widestOnStage); got != want {
			t.Errorf("%d wide, on the stage: %q, want %q", width, got, want)
		}
		want, _, _ = strings.Cut(want, ","+at+"2560")
		if got := im.srcset(widestInGrid); got != want {
			t.Errorf("%d wide, in a grid: %q, want %q", width, got, want)
		}
	}
	im.Width, im.Height = 500, 400
	if got, want := im.src(1280), at+"640.jpg"; got != want {
		t.Errorf("%q, want the widest there is, %q", got, want)
	}
	if w, h := im.scaled(640); w != 500 || h != 400 {
		t.Errorf("scaled to %d x %d", w, h)
	}
	if w, h := (Image{}).scaled(320); w != 320 || h != 320 {
		t.Errorf("unknown scaled to %d x %d", w, h)
	}
	sizes := regexp.MustCompile(`^\(max-width:50em\) \d{1,2}vw,\d{2,4}px$`)
	for i := range 6 {
		for _, in := range []slot{inGrid(), inStrip()} {
			if got := string(testImage(i).appendSizes(nil, in)); !sizes.MatchString(got) {
				t.Errorf("sizes %q", got)
			}
		}
	}
}

// A phone of 390 px with three pixels of the screen for one of the layout fetches a listing's pictures at 320 px, and
// at 640 those that may have a row for themselves. Browsers take the first derivative that is wide enough.
func TestPhonesFetchSmallPictures(t *testing.T) {
	t.Parallel()
	for ratio, want := range map[int]float64{50: 320, 67: 320, 100: 320, 150: 320, 178: 640, 200: 640, 300: 640} {
		for _, in := range []slot{inGrid(), inStrip()} {
			im := Image{ID: testImage(0).ID, Width: 20 * ratio, Height: 2000}
			var vw float64
			if _, err := fmt.Sscanf(string(im.appendSizes(nil, in)), "(max-width:50em) %fvw,", &vw); err != nil {
				t.Fatal(err)
			}
			if needed := vw / 100 * 390 * 3; needed > want || needed < want/5 || want == 640 && needed <= 320 {
				t.Errorf("a ratio of %d hundredths needs %.0f px, want at most %.0f", ratio, needed, want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1",
		-1000: "-1,000", -123: "-123"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) is %q", n, got)
		}
	}
	if counted(1, "photo") != "1 photo" || counted(0, "photo") != "0 photos" ||
		counted(2000, "photo") != "2,000 photos" {
		t.Error("counted")
	}
	if got := (Camera{Aperture: 8, Focal: 23.5, ISO: 100}).settings(); len(got) != 3 || got[0].value != "23.5 mm" ||
		got[1].value != "ƒ/8" {
		t.Errorf("settings %v", got)
	}
	if got := (Camera{Lens: "\x00"}).gear(); len(got) != 0 {
		t.Errorf("gear %v", got)
	}
	if got := summary(" a\n\n b ", "none"); got != "a b" {
		t.Errorf("summary %q", got)
	}
	if got := summary("\n", "none"); got != "none" {
		t.Errorf("summary %q", got)
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	if got := shorten("one two three, four", 17); got != "one two three…" {
		t.Errorf("%q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s, limit := rapid.String().Draw(t, "s"), rapid.IntRange(4, 40).Draw(t, "limit")
		got := shorten(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || len(s) <= limit && got != s {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

// Each month stands at its first card, once, and in order.
func TestMonths(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 3, 31, 23, 30, 0, 0, time.FixedZone("", -7200))
		var cards []Card
		for _, hours := range rapid.SliceOf(rapid.IntRange(0, 2000)).Draw(t, "gaps") {
			at = at.Add(-time.Duration(hours) * time.Hour)
			cards = append(cards, Card{Posted: at})
		}
		last := ""
		for i, c := range cards {
			month := c.Posted.UTC().Format("2006-01")
			want := ""
			if month != last {
				want = `<h2><time datetime="` + month + `">` + c.Posted.UTC().Format("January 2006") + `</time></h2>`
			}
			if got := string(appendMonth(nil, cards, i)); got != want {
				t.Fatalf("card %d: %q, want %q", i, got, want)
			}
			last = month
		}
	})
}
