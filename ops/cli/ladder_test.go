package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
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

// measures runs killr with a temporary directory of its own, reads what it prints as JSON, and looks whether it left anything behind: a file
// there, or a process that was told of it.
func measures(t *testing.T, result any, args ...string) {
	t.Helper()
	dir := testenv.DataDir(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"--data", filepath.Join(dir, "none"), "--log-level", "warn"}, args...)...)
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

func TestLadder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, proxy string }{{"--nginx", "nginx"}, {"--no-nginx", "this program"}} {
		var result ladder.Result
		report := filepath.Join(t.TempDir(), "ladder.html")
		measures(t, &result, "ladder", "--photos", "600", "--seconds", "0.2", "--visitors", "2", "--json", c.flag, "--report", report)
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
		if len(result.Rungs) != 5 || result.Index == nil || result.Versus == nil || result.Versus.Bytes == 0 {
			t.Fatalf("an incomplete climb: %+v", result)
		}
		pages := 0.0 // a busy machine may not finish one in each of these moments; that every rung serves everything has been checked before
		for _, r := range result.Rungs {
			if pages += r.Today.Pages; r.Today.Failed > 0 {
				t.Errorf("%s: %+v", r.Version, r.Today)
			}
		}
		if l := result.Index; l.With.Failed+l.Without.Failed > 0 || pages == 0 {
			t.Errorf("the lesson: %+v; %g pages a second in all rungs", l, pages)
		}
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
		cmd := exec.CommandContext(t.Context(), os.Args[0], "--data", filepath.Join(t.TempDir(), "none"), "--log-level", "warn",
			"ladder", "--photos", "600", "--serve", version, "--addr", addr)
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

// body reads what an address answers.
func body(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(text)
}

func TestLadderKnowsItsVersions(t *testing.T) {
	t.Parallel()
	if status, _, logs := killr(t.Context(), "ladder", "--serve", "0.9"); status != 1 || !strings.Contains(logs, "0.1, 0.2, 0.3, 0.4, 1.0") {
		t.Errorf("status %d: %s", status, logs)
	}
}

func TestPeers(t *testing.T) {
	t.Parallel()
	_, nginx := rig.FindNginx()
	for _, form := range [][]string{{}, {"--gzip"}} {
		var result peers.Result
		measures(t, &result, append([]string{"bench", "--peers", "--rounds", "1", "--duration", "200ms", "--visitors", "2", "--json"}, form...)...)
		compared, pages := 0, 0.0
		for _, p := range result.Peers {
			if p.Missing != "" {
				t.Logf("not compared: %s, for want of %s", p.Name, p.Missing)
				if nginx && p.Missing == "nginx" {
					t.Errorf("%s: there is an nginx", p.Name)
				}
				continue
			}
			compared++
			if pages += p.Pages; p.Failed > 0 {
				t.Errorf("%+v", p)
			}
		}
		if pages == 0 {
			t.Errorf("nobody served a page: %+v", result.Peers)
		}
		if compared < 5 { // ours in four ways, and the plain program, need nothing that may be missing
			t.Errorf("only %d were compared: %+v", compared, result.Peers)
		}
		if len(result.Targets) != 6 {
			t.Errorf("%d targets", len(result.Targets))
		}
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
	measures(t, &result, "ladder", "--scale", "--photos", "6000", "--seconds", "0.3", "--json") // of fewer, visitors share most fetches
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
	if status, _, logs := killr(t.Context(), "bench", "--peers", "--rounds", "0"); status != 2 || !strings.Contains(logs, "--rounds") {
		t.Errorf("status %d: %s", status, logs)
	}
}
