package pool

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/wire"
)

// announce has a renderer of a version answer on the bus, until the test ends it.
func announce(t *testing.T, url, id, version string) (end func()) {
	t.Helper()
	nc := testenv.ConnectAs(t, url, wire.RoleRenderer)
	service := discovery.Service{
		Name: wire.ServiceRenderer, ID: id, Version: version, Metadata: map[string]string{"host": id, "pid": "1"},
		Started: time.Now(), Logger: slog.New(slog.DiscardHandler),
		Endpoints: func() []discovery.Endpoint { return nil },
		Figures:   func() any { return figures(0, 0, waits(1, 1)) },
	}
	all, err := service.Subscribe(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() {
		for _, sub := range all {
			_ = sub.Unsubscribe()
		}
		if err := nc.Flush(); err != nil {
			t.Error(err)
		}
	}
}

// watched serves the page of a bus, as a role that is not the operator, until the test ends.
func watched(t *testing.T, url string) (at string, stop func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	scaling := func() string { return "Between 2 and 4 run." }
	w := NewWatch(func() (Bus, *nats.Conn, error) {
		bus, err := stack.JoinBus(stack.Login{
			URL: url, Role: wire.RoleCachefill, Seed: testenv.Seeds(t)[wire.RoleCachefill],
		}, "test", log)
		if err != nil {
			return nil, nil, err
		}
		return bus, bus.Conn, nil
	}, scaling, log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	mux := http.NewServeMux()
	w.Register(mux)
	server := httptest.NewServer(mux)
	stop = func() {
		cancel()
		<-w.ended
	}
	t.Cleanup(func() {
		stop()
		server.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return server.URL, stop
}

// read returns the next event of a stream in which all words are.
func nextEvent(t *testing.T, events *bufio.Scanner, words ...string) string {
	t.Helper()
	var event strings.Builder
lines:
	for events.Scan() {
		if line := events.Text(); line != "" {
			event.WriteString(strings.TrimPrefix(line, "data: ") + "\n")
			continue
		}
		text := event.String()
		event.Reset()
		for _, word := range words {
			if !strings.Contains(text, word) {
				continue lines
			}
		}
		return text
	}
	t.Fatalf("the stream ended (%v) before %q", events.Err(), words)
	return ""
}

// page gets the page until a word is on it: one that is asked for at once may have no answers yet.
func page(t *testing.T, at, word string) (status int, header http.Header, body string, err error) {
	t.Helper()
	testenv.Within(t, time.Minute, "the page says "+word, func() bool {
		status, header, body, err = testenv.Fetch(t.Context(), http.DefaultClient, at+"/pool")
		return err == nil && strings.Contains(body, word)
	})
	return status, header, body, err
}

// TestPage: the page shows who is there, its stream who comes and goes, and nobody on the bus can write HTML into it.
func TestPage(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t)
	announce(t, url, "first<script>", "1.0.0<img src=x>")
	at, stop := watched(t, url)
	status, header, body, err := page(t, at, "first")
	if err != nil || status != http.StatusOK || header.Get("Content-Security-Policy") != contentPolicy {
		t.Fatalf("status %d, %v, header %v", status, err, header)
	}
	if !strings.Contains(body, "Between 2 and 4 run.") {
		t.Errorf("nothing of the range of renderers:\n%s", body)
	}
	if !strings.Contains(body, "first&lt;script&gt;") || strings.Contains(body, "<img") {
		t.Errorf("not escaped, or not there:\n%s", body)
	}
	for file, kind := range map[string]string{"pool.css": "text/css", "pool.js": "text/javascript"} {
		_, header, _, err := testenv.Fetch(t.Context(), http.DefaultClient, at+"/pool/"+file)
		if err != nil || !strings.HasPrefix(header.Get("Content-Type"), kind) {
			t.Errorf("%s: %v, %v", file, header, err)
		}
	}
	client := &http.Client{CheckRedirect: testenv.NoRedirects}
	for path, want := range map[string]int{
		"/pool/": http.StatusMovedPermanently, "/pool/pool.html": http.StatusNotFound,
	} {
		if status, _, _, err := testenv.Fetch(t.Context(), client, at+path); err != nil || status != want {
			t.Errorf("%s: %d, %v, want %d", path, status, err, want)
		}
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/pool/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("the stream is %s", got)
	}
	events := bufio.NewScanner(resp.Body)
	nextEvent(t, events, "One version everywhere")
	end := announce(t, url, "second", "1.1.0")
	nextEvent(t, events, "A deployment is under way", "second 1 cond")
	end()
	nextEvent(t, events, "silent for")
	stop()
	for events.Scan() { // it ends with its owner
	}
}

// TestPageWithoutABus says what is missing.
func TestPageWithoutABus(t *testing.T) {
	t.Parallel()
	at, _ := watched(t, "nats://127.0.0.1:1")
	_, _, body, err := page(t, at, "does not answer")
	if err != nil || !strings.Contains(body, "127.0.0.1:1 does not answer") {
		t.Errorf("%v\n%s", err, body)
	}
}

func TestTopOnce(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t)
	announce(t, url, "only", "1.0.0")
	nc := testenv.ConnectAs(t, url, wire.RoleOperator)
	bus, err := stack.JoinBus(stack.Login{
		URL: url, Role: wire.RoleOperator, Seed: testenv.Seeds(t)[wire.RoleOperator],
	}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	var out bytes.Buffer
	if err := Top(t.Context(), TopConfig{Bus: bus, NATS: nc, Out: &out, Once: true, Redraw: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "only 1 only") || strings.Count(out.String(), "\x1b[J") != 1 {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	if err := Top(t.Context(), TopConfig{Bus: bus, NATS: nc, Out: &out, Once: true}); err != nil {
		t.Fatal(err)
	}
	if out.String()[0] == '\n' || strings.Contains(out.String(), " \n") {
		t.Errorf("an empty line first, or spaces at the end of a line: %q", out.String())
	}
}
