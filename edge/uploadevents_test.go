package edge

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"flickrkillr/edge/upload"
	"flickrkillr/schema/wire"
)

// eventStream reads the events of a person at an edge.
type eventStream struct {
	t      *testing.T
	status int
	lines  chan string // without empty ones; closed at the end
}

func (s *uploadSite) listen(t *testing.T, e *Server, cookie string) eventStream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Addr()+"/upload/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", cookie)
	transport := &http.Transport{}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	stream := eventStream{t, answer.StatusCode, make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(stream.lines)
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			if lines.Text() != "" {
				stream.lines <- lines.Text()
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; transport.CloseIdleConnections() })
	return stream
}

// next is the next line; "" at the end.
func (s eventStream) next() string {
	s.t.Helper()
	select {
	case line := <-s.lines:
		return line
	case <-time.After(20 * time.Second):
		s.t.Fatal("no event")
	}
	return ""
}

// TestUploadEvents: a person hears of their own uploads at any edge, in order, in each of four windows, until the
// session ends.
func TestUploadEvents(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	other := s.signInAs(8, "edward")
	mine := s.listen(t, s.edges[0], s.cookie)
	theirs := s.listen(t, s.edges[0], other)
	second := s.listen(t, s.edges[1], s.cookie)
	for _, stream := range []eventStream{mine, theirs, second} {
		if line := stream.next(); stream.status != http.StatusOK || line != "retry: 3000" {
			t.Fatalf("status %d, %q", stream.status, line)
		}
	}
	id := strings.Repeat("a", 26)
	want := []string{
		`data: {"id":"` + id + `","stage":"received","offset":524288}`,
		`data: {"id":"` + id + `","stage":"stored"}`,
		`data: {"id":"` + id + `","stage":"live","photo":9,"version":3}`,
	}
	s.store.Tell(7, id, wire.UploadEvent{Stage: wire.UploadReceived, Offset: 524288})
	s.store.Tell(7, id, wire.UploadEvent{Stage: wire.UploadStored})
	s.store.Tell(7, id, wire.UploadEvent{Stage: wire.UploadLive, Photo: 9, Version: 3})
	s.store.Tell(8, id, wire.UploadEvent{Stage: wire.UploadRefused, Problem: "file \"x\"\nis none"})
	for _, stream := range []eventStream{mine, second} {
		for _, line := range want {
			if got := stream.next(); got != line {
				t.Errorf("%s, want %s", got, line)
			}
		}
	}
	if got := theirs.next(); !strings.Contains(got, `"problem":"file \"x\"\nis none"`) {
		t.Errorf("another person hears %s", got)
	}
	for range 3 {
		if got := s.listen(t, s.edges[0], s.cookie); got.status != http.StatusOK {
			t.Errorf("status %d", got.status)
		}
	}
	if got := s.listen(t, s.edges[0], s.cookie); got.status != http.StatusTooManyRequests {
		t.Errorf("a fifth stream: %d", got.status)
	}
	if got := s.listen(t, s.edges[0], "session=x"); got.status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", got.status)
	}
	if err := s.edges[1].sessions.EndAll(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge knows", func() bool { return errSessionOf(s.edges[0], s.cookie) != nil })
	s.store.Tell(7, id, wire.UploadEvent{Stage: wire.UploadThumbnails})
	if got := mine.next(); got != "" {
		t.Errorf("after signing out: %s", got)
	}
	stopping := s.start()
	eventually(t, "the edge is ready", func() bool { return stopping.Ready() == nil })
	last := s.listen(t, stopping, other)
	last.next()
	stopping.events.Stop()
	if got := last.next(); got != "" {
		t.Errorf("at an edge that stops: %s", got)
	}
	if got := s.listen(t, stopping, other); got.status != http.StatusServiceUnavailable {
		t.Errorf("a new stream at an edge that stops: %d", got.status)
	}
}

// TestTellEvents: a stream has signs of life, and ends at one if the session does not count any more.
func TestTellEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := upload.NewEvents(s.signIn()).Open(t.Context(), 7)
	if err == nil {
		t.Error("a subscription without a bound on its time")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := upload.NewEvents(s.signIn()).Open(ctx, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	beat, written := make(chan time.Time), make(chan string, 10)
	checks := 0
	done := make(chan error)
	go func() {
		done <- tellEvents(ctx, stream, beat, func() bool { checks++; return checks < 3 }, func(b []byte) error {
			written <- string(b)
			return nil
		})
	}()
	for range 3 {
		beat <- time.Time{}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(written)
	all := ""
	for text := range written {
		all += text
	}
	if all != "retry: 3000\n\n:\n\n:\n\n" {
		t.Errorf("%q", all)
	}
}
