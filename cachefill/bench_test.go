package cachefill

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// BenchmarkFill has one note after another worked, so many at once: from an edge's note to the answer that memcached
// holds the page, which is as large as a user's is when packed. The sender, nats-server and the renderer, which only
// hands out bytes, are one process with the cachefill, and all in B/op. A page that is held already is the note that
// comes too late; of notes at the same moment all but one join.
func BenchmarkFill(b *testing.B) {
	for _, c := range []struct {
		name    string
		senders int
		held    bool
	}{{"filled", 1, false}, {"filled, 8 at once", 8, false}, {"held", 1, true}} {
		b.Run(c.name, func(b *testing.B) { benchmarkFill(b, c.senders, c.held) })
	}
}

func benchmarkFill(b *testing.B, senders int, held bool) {
	const pages = 100
	s := newSite(b)
	body := []byte(strings.Repeat("x", 5000))
	s.answerWith(func(page.Ref) *wire.Reply {
		return &wire.Reply{Status: 200, ContentType: "text/html", MaxAge: wire.PageAge, ReadAt: time.Now(), Body: body,
			Depends: []wire.Dep{{Scope: wire.ScopeAll, Version: 1}, {Scope: "user.ansel", Version: 18}}}
	})
	f := s.filler(func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
	ask := func(n int64) {
		note := wire.Fill{Ref: page.Photo(n%pages + 1), Wants: []wire.Dep{{Scope: "user.ansel", Version: 18}}}
		if !held {
			note.ReadAt = time.Now()
		}
		answer, err := s.nc.RequestMsg(note.Msg(), 20*time.Second)
		if err != nil {
			b.Error(err)
		} else if word := string(answer.Data); (word == wire.FillHeld) != held &&
			f.metrics.counts[resultJoined].Load() == 0 {
			b.Error(word)
		}
	}
	if held {
		held = false
		for n := range int64(pages) {
			ask(n)
		}
		held = true
	}
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				ask(n)
			}
		})
	}
	all.Wait()
}

// BenchmarkTake is what a note costs before it is worked: read, and joined to the one that waits.
func BenchmarkTake(b *testing.B) {
	q := newQueue(1)
	msg := wire.Fill{Ref: page.User("ansel"), ReadAt: time.Now(),
		Wants: []wire.Dep{{Scope: "user.ansel", Version: 18}}}.Msg()
	b.ReportAllocs()
	for b.Loop() {
		note, err := wire.ParseFill(msg.Subject, nats.Header(msg.Header))
		if err != nil {
			b.Fatal(err)
		}
		if _, queued := q.put(&job{Fill: note, came: time.Now()}); !queued && q.len() != 1 {
			b.Fatal(fmt.Errorf("%d wait", q.len()))
		}
	}
}
