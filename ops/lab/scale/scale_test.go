package scale

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// echo is a server that sends back what it receives.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestDelayHoldsBackAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const by = 50 * time.Millisecond
	d, err := Listen(echo(t), Line{There: by})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	for i := range 100 {
		if _, err := fmt.Fprintf(conn, "%d\n", i); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(conn)
	for i := range 100 {
		if !lines.Scan() || lines.Text() != fmt.Sprint(i) {
			t.Fatalf("line %d is %q, %v", i, lines.Text(), lines.Err())
		}
		if took := time.Since(began); i == 0 && took < by {
			t.Errorf("the first came back after %v", took)
		}
	}
	if err := d.Close(); err != nil { // and the connection with it
		t.Error(err)
	}
	if lines.Scan() {
		t.Errorf("%q after the end", lines.Text())
	}
}

// TestDelayBothWays: what comes back is late too, and what is lost comes a round trip later.
func TestDelayBothWays(t *testing.T) {
	t.Parallel()
	const way = 20 * time.Millisecond
	for name, c := range map[string]struct {
		line  Line
		least time.Duration
	}{
		"back": {Line{Back: way}, way}, "there and back": {Line{There: way, Back: way}, 2 * way},
		"all lost once": {Line{There: way, Back: way, Lost: 1}, 6 * way},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := Listen(echo(t), c.line)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = d.Close() }()
			conn, err := net.Dial("tcp", d.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			if _, err := conn.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 1)); err != nil || time.Since(began) < c.least {
				t.Errorf("it came after %v, want %v; %v", time.Since(began), c.least, err)
			}
		})
	}
}

func TestDelayEndsWithItsClientAndWithoutAServer(t *testing.T) {
	t.Parallel()
	for _, target := range []string{echo(t), "127.0.0.1:1"} {
		d, err := Listen(target, Line{There: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", d.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if target == "127.0.0.1:1" {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("a byte from nobody")
			}
		}
		_ = conn.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRenderersAreAddedStepByStep(t *testing.T) {
	t.Parallel()
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/photo/2" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html></html>")
	}))
	defer edge.Close()
	var started atomic.Int32
	cfg := Config{URL: edge.URL, Pages: []bench.Page{{Path: "/photo/1"}, {Path: "/photo/2"}}, Steps: []int{1, 3},
		Visitors: 2, Step: 100 * time.Millisecond,
		Renderer: rig.Process{Name: "renderer", Command: func() *exec.Cmd {
			started.Add(1)
			return exec.Command("sleep", "3600")
		}}}
	res, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if started.Load() != 2 || len(res.Steps) != 2 {
		t.Fatalf("%d started, steps %+v", started.Load(), res.Steps)
	}
	var pages float64
	var failed int64
	for i, s := range res.Steps {
		if s.Renderers != cfg.Steps[i] || s.Failed > 0 && s.Failure == "" {
			t.Errorf("%+v", s)
		}
		pages, failed = pages+s.Pages, failed+s.Failed
	}
	if pages == 0 || failed == 0 {
		t.Errorf("%+v, want pages, and failures", res.Steps)
	}
}

func TestLinear(t *testing.T) {
	t.Parallel()
	res := Result{Delay: 20}
	res.add(1, &bench.Result{PagesPerSecond: 100}, nil)
	res.add(2, &bench.Result{PagesPerSecond: 190}, nil)
	res.add(4, &bench.Result{PagesPerSecond: 300}, nil)
	res.add(8, &bench.Result{PagesPerSecond: 800}, []bench.Failure{{Kind: "timeout", Count: 1}})
	var b strings.Builder
	if err := res.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for line := range strings.Lines(b.String()) {
		if f := strings.Fields(line); len(f) == 7 && f[0] != "renderers" {
			verdicts = append(verdicts, f[2]+" "+f[6])
		}
	}
	if got := strings.Join(verdicts, ", "); got != "1.00 met, 0.95 met, 0.75 missed, 1.00 missed" {
		t.Errorf("%s in\n%s", got, b.String())
	}
}
