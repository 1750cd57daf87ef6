package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"flickrkillr/ops/lab/ladder"
	"flickrkillr/ops/lab/peers"
	"flickrkillr/ops/lab/rig"
	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// measures runs killr with a temporary directory of its own, reads what it prints as JSON, and looks whether it left
// anything behind: a file there, or a process that was told of it.
func measures(t *testing.T, result any, args ...string) {
	t.Helper()
	dir := testenv.DataDir(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(
		t.Context(),
		testenv.Program(t),
		append([]string{"--data", filepath.Join(dir, "none"), "--log-level", "warn"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lines {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), dir) {
			t.Errorf("still running: %s", strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
}

// TestLadder: each version serves the same page and all its files, byte for byte, and what is measured of it is
// possible.
func TestLadder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, proxy string }{{"--nginx", "nginx"}, {"--no-nginx", "this program"}} {
		t.Run(c.flag, func(t *testing.T) {
			t.Parallel()
			var result ladder.Result
			report := filepath.Join(t.TempDir(), "ladder.html")
			measures(t, &result, "ladder", "--photos", "600", "--seconds", "0.2", "--visitors", "2",
				"--json", c.flag, "--report", report)
			text, err := os.ReadFile(report)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), `<svg class="plot"`); n != 4 || strings.Contains(string(text), "NaN") {
				t.Errorf("the report has %d plots, want 4:\n%s", n, text)
			}
			if _, ok := rig.FindNginx(); !ok {
				c.proxy = "this program"
			}
			if result.Proxy != c.proxy {
				t.Errorf("the proxy is %q, want %q", result.Proxy, c.proxy)
			}
			if result.Index == nil || result.Versus == nil || result.Versus.Bytes == 0 || result.PageBytes == 0 {
				t.Fatalf("an incomplete climb: %+v", result)
			}
			checkRungs(t, &result)
			possible(t, "with an index", result.Index.With)
			possible(t, "without an index", result.Index.Without)
			for _, spread := range []ladder.Spread{result.Versus.File, result.Versus.Memcached} {
				if spread.P50 <= 0 || spread.P50 > spread.P99 {
					t.Errorf("times of a thumbnail: %+v", spread)
				}
			}
		})
	}
}

func checkRungs(t *testing.T, result *ladder.Result) {
	t.Helper()
	var versions []string
	pages := 0.0 // a busy machine may not finish one in each of these moments
	for _, r := range result.Rungs {
		versions = append(versions, r.Version)
		pages += r.Today.Pages
		possible(t, r.Version, r.Today)
		if r.Served.Page != result.Page {
			t.Errorf("%s serves another page: checksum %s, want %s", r.Version, r.Served.Page, result.Page)
		}
		if r.Served.Files != result.Rungs[0].Served.Files || r.Served.Files < 2 {
			t.Errorf("%s serves %d files, %s serves %d", r.Version, r.Served.Files, result.Rungs[0].Version,
				result.Rungs[0].Served.Files)
		}
	}
	if got := strings.Join(versions, " "); got != "0.1 0.2 0.3 0.4 1.0" {
		t.Errorf("the versions are %s", got)
	}
	if pages == 0 {
		t.Error("no version served a page while it was measured")
	}
}

// possible checks what holds of any measurement: nothing failed, each page is a request, and percentiles are in order.
func possible(t *testing.T, what string, m ladder.Measure) {
	t.Helper()
	if m.Failed > 0 || m.Failure != "" {
		t.Errorf("%s: %d failed: %s", what, m.Failed, m.Failure)
	}
	if m.Pages > m.Requests || m.P50 > m.P99 || m.Servers < 0 || m.Postgres < 0 {
		t.Errorf("%s: an impossible measurement: %+v", what, m)
	}
}

// A version that is kept up shows every page with its pictures, and ends with 0 at Ctrl-C.
func TestLadderServes(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.1", "0.4"} {
		addr, err := stack.ResolvePort("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "--data", filepath.Join(t.TempDir(), "none"),
			"--log-level", "warn", "ladder", "--photos", "600", "--serve", version, "--addr", addr)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, version+" is at http://"+addr+"/photos/ansel ") {
			t.Errorf("%q, %v", line, err)
		}
		home := body(t, "http://"+addr+"/")
		picture := regexp.MustCompile(`/img/[^"' ,]+\.jpg`).FindString(home)
		if jpeg := body(t, "http://"+addr+picture); !strings.HasPrefix(jpeg, "\xff\xd8") {
			t.Errorf("%s: %q is no picture: %.40q", version, picture, jpeg)
		}
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// body reads what an address answers, with status 200.
func body(t *testing.T, url string) string {
	t.Helper()
	status, text := testenv.Get(t, url)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d", url, status)
	}
	return text
}

func TestLadderKnowsItsVersions(t *testing.T) {
	t.Parallel()
	if status, _, logs := killr(t.Context(), "ladder", "--serve", "0.9"); status != 1 ||
		!strings.Contains(logs, "0.1, 0.2, 0.3, 0.4, 1.0") {
		t.Errorf("status %d: %s", status, logs)
	}
}

// TestPeers: all that are compared serve the same page, byte for byte, and what is measured of each is possible.
func TestPeers(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"--gzip=false", "--gzip"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			var result peers.Result
			measures(t, &result, "bench", "--peers", "--rounds", "1", "--duration", "200ms", "--visitors", "2",
				"--json", form)
			checkPeers(t, &result)
			if len(result.Targets) != 6 {
				t.Errorf("%d targets", len(result.Targets))
			}
			for _, target := range result.Targets {
				if target.Met != (target.Ratio > 0 && target.Ratio <= target.Most) {
					t.Errorf("%+v", target)
				}
			}
		})
	}
}

func checkPeers(t *testing.T, result *peers.Result) {
	t.Helper()
	_, nginx := rig.FindNginx()
	compared, pages, size := 0, 0.0, 0
	for _, p := range result.Peers {
		if p.Missing != "" {
			t.Logf("not compared: %s, for want of %s", p.Name, p.Missing)
			if nginx && p.Missing == "nginx" {
				t.Errorf("%s: there is an nginx", p.Name)
			}
			continue
		}
		compared++
		pages += p.Pages
		size = max(size, p.Bytes)
		if p.Bytes == 0 || p.Bytes != size {
			t.Errorf("%s serves a page of %d bytes, others one of %d", p.Name, p.Bytes, size)
		}
		if p.Failed > 0 {
			t.Errorf("%s: %d failed: %s", p.Name, p.Failed, p.Failure)
		}
		if p.P50 > p.P99 || p.Servers < p.Least || p.Servers > p.Most || p.Postgres > p.Servers || p.Stray < 0 ||
			p.Stray > 1 {
			t.Errorf("%s: an impossible measurement: %+v", p.Name, p)
		}
		if !p.Cold && p.Postgres != 0 {
			t.Errorf("%s keeps its page and paid Postgres %g µs a page", p.Name, p.Postgres)
		}
	}
	if pages == 0 {
		t.Errorf("no server served a page while it was measured: %+v", result.Peers)
	}
	if compared < 5 { // ours in four ways, and the plain program, need nothing that may be missing
		t.Errorf("only %d were compared: %+v", compared, result.Peers)
	}
	if result.Gzip == (result.Bytes == size) {
		t.Errorf("a page of %d bytes is kept as %d bytes; compressed: %v", size, result.Bytes, result.Gzip)
	}
}

func TestLadderRefusesNothingToMeasure(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--photos=9", "--visitors=0", "--seconds=0"} {
		if status, _, logs := killr(t.Context(), "ladder", flag); status != 2 || !strings.Contains(logs, "at least") {
			t.Errorf("%s: status %d: %s", flag, status, logs)
		}
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	var result scale.Result
	// Of fewer, visitors share most fetches.
	measures(t, &result, "ladder", "--scale", "--photos", "6000", "--seconds", "0.3", "--json")
	if len(result.Steps) != 4 || result.Delay != 20 {
		t.Fatalf("%+v", result)
	}
	pages := 0.0
	for i, s := range result.Steps {
		if pages += s.Pages; s.Renderers != 1<<i || s.Pages > 0 && s.P50 < result.Delay {
			t.Errorf("%+v, want no page faster than the delay", s)
		}
	}
	if pages == 0 {
		t.Errorf("no page: %+v", result.Steps)
	}
}

func TestPeersNeedARound(t *testing.T) {
	t.Parallel()
	if status, _, logs := killr(t.Context(), "bench", "--peers", "--rounds", "0"); status != 2 ||
		!strings.Contains(logs, "--rounds") {
		t.Errorf("status %d: %s", status, logs)
	}
}
