package edge

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

// TestAccessLog: each answer has a line that says what was requested and what was sent.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		lines := testenv.NewOutput()
		e := s.edge(onPath, func(c *Config) { c.AccessLog = slog.New(slog.NewJSONHandler(lines, nil)) })
		got := get(t, e, "/photos/ansel")
		id := got.header.Get("X-Request-Id")
		eventually(t, "the line is written", func() bool { return strings.Contains(lines.String(), id) })
		var line struct {
			Request, Method, Path, Cache, From, Protocol string
			Status, Bytes                                int
			Cut                                          bool
		}
		if err := json.Unmarshal([]byte(lines.String()), &line); err != nil {
			t.Fatal(err)
		}
		from := line.From
		line.From = ""
		want := line
		want.Request, want.Method, want.Path, want.Cache = id, http.MethodGet, "/photos/ansel", "render"
		want.Protocol, want.Status, want.Bytes, want.Cut = "HTTP/1.1", http.StatusOK, len(got.body), false
		if e.cfg.Encrypts() || e.cfg.Version == byHTTP2Version {
			want.Protocol = "HTTP/2.0"
		}
		if line != want || !strings.HasPrefix(from, "127.0.0.1:") {
			t.Errorf("%+v from %s, want %+v", line, from, want)
		}
	})
}

// TestHandlerPanics: a panic before the answer is a 500, and the connection goes on.
func TestHandlerPanics(t *testing.T) {
	t.Parallel()
	onPipes(t, nil, func(e *Server, p *pipes) {
		memory := e.pages.memory
		e.pages.memory = nil
		client := p.dial(t)
		client.send(rawGet("/photos/ansel?from=mail"))
		if a := client.receive(http.MethodGet); a.status != http.StatusInternalServerError {
			t.Errorf("status %d, want 500", a.status)
		}
		e.pages.memory = memory
		client.send(rawGet("/photos/ansel?from=mail"))
		if a := client.receive(http.MethodGet); a.status != http.StatusOK {
			t.Errorf("then status %d, want 200", a.status)
		}
	})
}

// TestFinishPanics: a panic while an answer is logged is logged, and does not reach the connection.
func TestFinishPanics(t *testing.T) {
	t.Parallel()
	onPipes(t, nil, func(e *Server, _ *pipes) {
		said := testenv.NewOutput()
		e.log, e.cfg.AccessLog = slog.New(slog.NewTextHandler(said, nil)), slog.New(slog.DiscardHandler)
		x := &exchange{number: e.ids.next(), status: http.StatusOK}
		e.finish(x, http.MethodGet, func() string { panic("no target") }, "203.0.113.9:4711", "HTTP/1.1")
		for _, part := range []string{"no target", x.number.String(), "method=GET", "status=200"} {
			if !strings.Contains(said.String(), part) {
				t.Errorf("the log has no %s: %.200s", part, said)
			}
		}
	})
}
