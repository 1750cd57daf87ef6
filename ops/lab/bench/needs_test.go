package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestChooseAPicture(t *testing.T) {
	t.Parallel()
	desktop, phone := Viewport{1280, 800, 1}, Viewport{390, 844, 3}
	grid := "/a/320.jpg 320w,/a/640.jpg 640w,/a/1280.jpg 1280w"
	for _, c := range []struct {
		window             Viewport
		src, srcset, sizes string
		address            string
		width              float64
	}{
		{desktop, "/a.jpg", "", "", "/a.jpg", 0},
		{desktop, "/a.jpg", grid, "auto,(max-width:50em) 54vw,375px", "/a/640.jpg", 375},
		{desktop, "/a.jpg", grid, "(max-width:50em) 54vw,320px", "/a/320.jpg", 320},
		{phone, "/a.jpg", grid, "auto,(max-width:50em) 54vw,375px", "/a/640.jpg", 0.54 * 390}, // 632 device pixels
		{phone, "/a.jpg", grid, "(min-width:50em) 54vw, 100vw", "/a/1280.jpg", 390},
		{desktop, "/a.jpg", grid, "min(100vw,135vh)", "/a/1280.jpg", 1080},
		{desktop, "/a.jpg", grid, "max(10rem,(1px))", "/a/1280.jpg", 1280}, // not understood: the window's width
		{desktop, "/a.jpg", grid, "", "/a/1280.jpg", 1280},
		{desktop, "/a.jpg", "/a/320.jpg 320w", "1000px", "/a/320.jpg", 1000}, // none is enough
		{desktop, "/a.jpg", " /b.jpg , /c.jpg 2x", "", "/b.jpg", 0},
		{phone, "/a.jpg", "/b.jpg 1x, /c.jpg 2x, /d.jpg 4x", "", "/d.jpg", 0},
		{desktop, "/a.jpg", "/b.jpg 4x, /c.jpg 1.5x, /d.jpg 2x", "", "/c.jpg", 0},
		{desktop, "/a.jpg", "/b.jpg,", "", "/b.jpg", 0},
		{desktop, "/a.jpg", "/b.jpg nonsense", "(unclosed", "/b.jpg", 0},
	} {
		address, width := c.window.choose(c.src, c.srcset, c.sizes)
		if address != c.address || width != c.width {
			t.Errorf(
				"%d px, srcset %q, sizes %q: %s at %v px, want %s at %v", c.window.Width, c.srcset, c.sizes, address,
				width, c.address, c.width,
			)
		}
	}
}

func parsePage(t *testing.T, cfg Config, path, body string) *parsedPage {
	t.Helper()
	cfg.Edges, cfg.Pages = []string{"http://site.test"}, []Page{{Path: "/"}}
	cfg, err := cfg.complete()
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(cfg)
	t.Cleanup(func() { r.parsedPages.StopAllGoroutines() })
	return r.parsePage(path, []byte(body))
}

func TestWhatAPageNeeds(t *testing.T) {
	t.Parallel()
	v := parsePage(t, Config{}, "/photos/ansel", `<!DOCTYPE html><html><head>
		<LINK REL=StyleSheet HREF=/static/app.css><link rel="icon" href="/static/icon.svg"><link rel="next" href="/photos/ansel/before/9">
		<link rel="canonical" href="/photos/ansel"><link rel="alternate stylesheet" href="/static/other.css"><link rel=stylesheet>
		<script src="/static/app.js"></script><script>var s = '<img src="/in-a-script.jpg">'</script><!-- <img src="/in-a-comment.jpg"> -->
		<script src="https://elsewhere.example/x.js"></script><script src="//elsewhere.example/x.js"></script></head>
		<body><img src="/img/a&amp;b/1.jpg"><img src="/img/a&amp;b/1.jpg"><img src="data:image/gif;base64,AA"><img src="beside.jpg#part"><img alt="">
		<a href="/photo/1"></a><a href="/photo/2"></a><a href="/photo/1"></a><a href="/photo/3" rel="prev"></a><a href="/tag/x"></a><a>
		<a rel="next" href="/photos/ansel/before/2"></a></body></html>`)
	var got []string
	for _, n := range v.needs {
		got = append(got, fmt.Sprint(classNames[n.class], " ", n.path))
	}
	want := []string{"static file /static/app.css", "static file /static/icon.svg", "static file /static/other.css",
		"static file /static/app.js",
		"picture /img/a&b/1.jpg", "picture /photos/beside.jpg"}
	if !slices.Equal(got, want) {
		t.Errorf("needs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(v.photos, []string{"/photo/1", "/photo/2"}) || v.older != "/photos/ansel/before/2" {
		t.Errorf("photos %v, older %q", v.photos, v.older)
	}
}

// A window of 1000 by 500 shows rows of four pictures of 250 by 250 px, so two rows a screen.
func TestLazyPicturesOfTheFirstScreens(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	for i := range 100 {
		lazy := ` loading="lazy"`
		if i < 6 || i == 99 {
			lazy = ""
		}
		fmt.Fprintf(
			&page, `<img src="/img/%d.jpg" srcset="/img/%d.jpg 640w" sizes="250px" width="640" height="640"%s>`, i, i,
			lazy,
		)
	}
	for screens, want := range map[float64]int{1: 8, 1.5: 12, 2.5: 20, 100: 99} {
		v := parsePage(t, Config{Viewport: Viewport{Width: 1000, Height: 500}, Screens: screens}, "/", page.String())
		if len(v.needs) != want+1 || v.needs[want].path != "/img/99.jpg" { // the last is not lazy
			t.Errorf("%v screens: %d pictures, want the first %d and the last", screens, len(v.needs), want)
		}
	}
}
