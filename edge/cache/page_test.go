package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"flickrkillr/edge/freshness"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// compress returns a reply with its body compressed by gzip.
func compress(r *wire.Reply) *wire.Reply {
	var b bytes.Buffer
	new(wire.Gzip).Pack(&b, r.Body)
	c := *r
	c.Encoding, c.Body = wire.EncodingGzip, b.Bytes()
	return &c
}

// TestWeightCountsEveryEncoding: the weight of a page does not depend on the encodings that were made yet, and is near
// the size of all of them.
func TestWeightCountsEveryEncoding(t *testing.T) {
	t.Parallel()
	tracker, encoder := freshness.New(&wire.Clock{}), NewEncoder()
	random := rand.New(rand.NewPCG(1, 2))
	for _, photos := range []int{6, 20, 100, 1000} {
		var body bytes.Buffer
		for i := range photos {
			fmt.Fprintf(&body, `<li><a href="/photo/%d"><img src="/img/%x/320.jpg" width="%d" height="240" `+
				`alt="Low tide %d"></a></li>`+"\n", random.IntN(200_000), random.Uint64(), 200+random.IntN(120), i)
		}
		plain := &wire.Reply{Status: 200, ContentType: "text/html", Body: body.Bytes()}
		compressed := compress(plain)
		for _, r := range []*wire.Reply{plain, compressed} {
			t.Run(fmt.Sprintf("%d bytes, encoding %q", body.Len(), r.Encoding), func(t *testing.T) {
				p := New(tracker, page.Home(), r)
				before := p.weight()
				for _, accept := range []string{"br", "gzip", "identity"} {
					encoder.Variant(p, ParseAccept([]string{accept}), true)
				}
				sum := len(p.plain.Load().Body) + len(p.gzip.Load().Body) + len(p.brotli.Load().Body)
				if int(before) < sum || int(before) > 2*sum+2000 || p.weight() != before {
					t.Errorf("weight %d, then %d; all encodings have %d bytes", before, p.weight(), sum)
				}
			})
		}
	}
}

// The in-process cache keeps the newer of two pages, unless that comes from the future.
func TestMemoryKeepsTheNewerPage(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		first, second time.Duration // after now
		want          int
	}{
		"older first":           {-time.Minute, 0, 2},
		"newer first":           {0, -time.Minute, 1},
		"from the future first": {time.Hour, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory, tracker := NewMemory(0), freshness.New(&wire.Clock{})
			defer memory.Close()
			var pages []*Page
			for _, after := range []time.Duration{c.first, c.second} {
				p := New(tracker, page.Home(), &wire.Reply{Status: 200, MaxAge: time.Hour, ReadAt: now.Add(after)})
				pages = append(pages, p)
				memory.Put(p, now)
			}
			if got := memory.Get(page.Home()); got != pages[c.want-1] {
				t.Errorf("the cache has the other page, want the one put at %d", c.want)
			}
		})
	}
}

// BenchmarkVariant makes each encoding of a page anew. "asReceived" is what a hit in memcached costs with gzip.
func BenchmarkVariant(b *testing.B) {
	const photo = `<a class="r150" href="/photo/123"><img src="/img/abc/320.jpg" alt="Low tide"></a>`
	body := bytes.Repeat([]byte(photo), 300)
	plain := &wire.Reply{Status: 200, ContentType: "text/html", Body: body}
	compressed := compress(plain)
	tracker, encoder := freshness.New(&wire.Clock{}), NewEncoder()
	for _, c := range []struct {
		name, accept string
		reply        *wire.Reply
		popular      bool
	}{
		{"asReceived", "gzip", compressed, false}, {"gzip", "gzip", plain, false}, {"plain", "", compressed, false},
		{"brotli", "br", plain, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			accept := ParseAccept([]string{c.accept})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encoder.Variant(New(tracker, page.Home(), c.reply), accept, c.popular); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
