package renderer

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

var acceptGzip = nats.Header{wire.HeaderAccept: {wire.EncodingGzip}}

func decoded(t *testing.T, ref page.Ref, msg *nats.Msg) *wire.Reply {
	t.Helper()
	reply, err := wire.DecodeReply(ref.Key(), msg.Data)
	if err != nil {
		t.Fatal(err, wire.ErrorOf(msg))
	}
	return reply
}

// TestPackedForWhoAsks: of requests that one rendering answers each has its form, and the ETag names the same page.
func TestPackedForWhoAsks(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, func(c *Config) {
		small(c)
		c.QueueFactor = 100
	})
	release := st.stall(t)
	defer release()
	first := st.ask(t, page.User("ansel").Subject(), nil) // the worker is busy with it while the others gather
	load(t, s, page.KindUser, 1, 0)
	headers := []nats.Header{nil, acceptGzip, {wire.HeaderAccept: {"br"}}, acceptGzip}
	var answers []<-chan *nats.Msg
	for _, h := range headers {
		answers = append(answers, st.ask(t, page.User("dorothea").Subject(), h))
	}
	load(t, s, page.KindUser, 1, len(headers))
	release()
	receive(t, first)
	want := decoded(t, page.User("dorothea"), receive(t, answers[0]))
	if want.Encoding != "" || !bytes.HasPrefix(want.Body, []byte("<!doctype html>")) {
		t.Fatalf("nobody asked for %q: %.40q", want.Encoding, want.Body)
	}
	for i, answer := range answers[1:] {
		got := decoded(t, page.User("dorothea"), receive(t, answer))
		packed := headers[i+1][wire.HeaderAccept][0] == wire.EncodingGzip
		if packed != (got.Encoding == wire.EncodingGzip) {
			t.Errorf("%v: %q", headers[i+1], got.Encoding)
		} else if packed {
			if len(got.Body) > len(want.Body)/2 {
				t.Errorf("%d bytes are packed into %d", len(want.Body), len(got.Body))
			}
			got.Encoding, got.Body = "", plain(t, got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", headers[i+1], diff)
		}
	}
	if r := total(s, page.KindUser); r.Batches != 2 {
		t.Errorf("%d batches, want 2: nothing was shared", r.Batches)
	}
}

// TestNotPacked: what gains nothing, however it is asked for.
func TestNotPacked(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	for _, ref := range []page.Ref{st.picture(t, 1, 320), page.Image("zzzzzzzzzzzzzzzzzzzzzzzzzz", 320)} {
		msg := receive(t, st.ask(t, ref.Subject(), acceptGzip))
		if got := decoded(t, ref, msg); got.Encoding != "" || len(got.Body) == 0 {
			t.Errorf("%s: %q, %d bytes", ref, got.Encoding, len(got.Body))
		}
	}
	msg := receive(t, st.ask(t, "page.user.NOBODY", acceptGzip))
	if wire.ErrorOf(msg) == nil {
		t.Errorf("an error: %q", msg.Data)
	}
}
