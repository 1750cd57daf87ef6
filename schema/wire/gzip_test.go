package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
)

func packed(z *Gzip, body []byte) []byte {
	var b bytes.Buffer
	z.Pack(&b, body)
	return b.Bytes()
}

func TestGzipRoundTrip(t *testing.T) {
	t.Parallel()
	z := &Gzip{}
	noise := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	var all sync.WaitGroup
	for range 4 { // of one pool
		all.Go(func() {
			for _, body := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("<p>a photo</p>"), 2000), noise} {
				p := packed(z, body)
				if got, err := z.Unpack(p); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes became %d: %v", len(body), len(got), err)
				}
				if n, err := UnpackedSize(p); err != nil || n != len(body) {
					t.Errorf("%d bytes say they are %d: %v", len(body), n, err)
				}
			}
		})
	}
	all.Wait()
}

// TestGzipThatWasChanged: whichever byte is, nobody sees another body, and no length that it claims costs more than the
// bound.
func TestGzipThatWasChanged(t *testing.T) {
	t.Parallel()
	z := &Gzip{}
	body := bytes.Repeat([]byte("<p>a photo of something</p>\n"), 40)
	whole := packed(z, body)
	for i := range whole {
		p := bytes.Clone(whole)
		p[i] ^= 0x55
		got, err := z.Unpack(p)
		if err == nil && !bytes.Equal(got, body) || err != nil && !errors.Is(err, ErrEnvelope) {
			t.Errorf("byte %d of %d changed: %d bytes, %v", i, len(whole), len(got), err)
		}
	}
	for n := range whole {
		if _, err := z.Unpack(whole[:n]); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	if got, err := z.Unpack(whole); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after all that, what is whole: %v", err)
	}
}

func TestGzipIsBounded(t *testing.T) {
	t.Parallel()
	z := &Gzip{}
	bomb := packed(z, make([]byte, MaxUnpacked+1))
	if _, err := UnpackedSize(bomb); !errors.Is(err, ErrEnvelope) {
		t.Errorf("one byte too many: %v", err)
	}
	for name, claims := range map[string]byte{"less than there is": 0, "little": 100} {
		p := bytes.Clone(bomb)
		copy(p[len(p)-4:], []byte{claims, 0, 0, 0})
		if got, err := z.Unpack(p); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if got, err := z.Unpack(packed(z, make([]byte, MaxUnpacked))); err != nil || len(got) != MaxUnpacked {
		t.Errorf("as many as may be: %d, %v", len(got), err)
	}
	var two bytes.Buffer
	z.Pack(&two, []byte("one body"))
	z.Pack(&two, []byte("8 bytes "))
	if got, err := z.Unpack(two.Bytes()); err == nil && string(got) != "one body" {
		t.Errorf("two in a row: %q", got)
	}
}

func TestCompressible(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("x", worthwhile))
	for name, c := range map[string]struct {
		reply Reply
		want  bool
	}{
		"a page":          {Reply{ContentType: "text/html; charset=utf-8", Body: text}, true},
		"a feed":          {Reply{ContentType: "application/atom+xml", Body: text}, true},
		"a drawing":       {Reply{ContentType: "image/svg+xml", Body: text}, true},
		"a picture":       {Reply{ContentType: "image/jpeg", Body: text}, false},
		"little":          {Reply{ContentType: "text/html", Body: text[1:]}, false},
		"more than opens": {Reply{ContentType: "text/html", Body: make([]byte, MaxUnpacked+1)}, false},
		"packed already":  {Reply{ContentType: "text/css", Encoding: "br", Body: text}, false},
	} {
		if got := c.reply.Compressible(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// FuzzUnpack: no bytes make it panic, or give more than they say.
func FuzzUnpack(f *testing.F) {
	z := &Gzip{}
	f.Add(packed(z, []byte("<!doctype html>")))
	f.Add(packed(z, nil))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := z.Unpack(data)
		if size, sizeErr := UnpackedSize(data); err == nil && (sizeErr != nil || len(body) != size) {
			t.Errorf("%d bytes, said to be %d: %v", len(body), size, sizeErr)
		}
		if _, readErr := gzip.NewReader(bytes.NewReader(data)); readErr != nil && err == nil {
			t.Errorf("a header that is none: %v", readErr)
		}
	})
}

func BenchmarkGzip(b *testing.B) {
	z := &Gzip{}
	body := bytes.Repeat([]byte(`<a class="r150" href="/photo/123"><img src="/img/abc/320.jpg" alt="Low tide"></a>`),
		300)
	small := packed(z, body)
	b.Run("pack", func(b *testing.B) {
		var dst bytes.Buffer
		b.ReportAllocs()
		for b.Loop() {
			dst.Reset()
			z.Pack(&dst, body)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := z.Unpack(small); err != nil {
				b.Fatal(err)
			}
		}
	})
}
