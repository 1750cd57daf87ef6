package rig

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func sleeper() Process {
	return Process{Name: "sleeper", Command: func() *exec.Cmd { return exec.Command("sleep", "3600") }}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" || asked.Add(1) < 3 { // not at the first time
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer site.Close()
	s, err := Start(t.Context(), Config{URL: site.URL, Probe: "/page", Processes: []Process{sleeper(), sleeper()}})
	if err != nil {
		t.Fatal(err)
	}
	if s.URL() != site.URL {
		t.Errorf("it is at %s", s.URL())
	}
	all := s.Processes()
	if len(all) != 2 || all[0].Name != "sleeper" || all[0].PID == 0 || all[0].PID == all[1].PID {
		t.Fatalf("processes %+v", all)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range all {
		if err := syscall.Kill(p.PID, 0); err == nil {
			t.Errorf("%d still runs", p.PID)
		}
	}
}

func TestWhatDoesNotAnswerIsStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	pid := filepath.Join(t.TempDir(), "pid")
	p := Process{
		Name:    "silent",
		Command: func() *exec.Cmd { return exec.Command("sh", "-c", "echo $$ > "+pid+"; exec sleep 3600") },
	}
	_, err := Start(ctx, Config{URL: "http://127.0.0.1:1", Processes: []Process{p}})
	if err == nil || !strings.Contains(err.Error(), "[silent] do not answer at http://127.0.0.1:1") {
		t.Errorf("error %v", err)
	}
	if err := exec.Command("sh", "-c", "kill -0 $(cat "+pid+") 2>/dev/null").Run(); err == nil {
		t.Error("it still runs")
	}
}

func TestWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	p := Process{Name: "nothing", Command: func() *exec.Cmd { return exec.Command("/no/such/program") }}
	if _, err := Start(t.Context(), Config{URL: "http://127.0.0.1:1", Processes: []Process{p}}); err == nil ||
		!strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("error %v", err)
	}
}

func TestNginxKeepsToItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := Nginx("/usr/sbin/nginx", dir, "server { listen 127.0.0.1:1; }")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "_path") && !strings.Contains(line, dir) ||
			strings.Contains(line, "pid ") && !strings.Contains(line, dir) {
			t.Errorf("written elsewhere: %s", line)
		}
	}
	if !strings.Contains(string(text), "server { listen 127.0.0.1:1; }") ||
		!strings.Contains(string(text), "daemon off;") {
		t.Errorf("the configuration:\n%s", text)
	}
	if args := strings.Join(p.Command().Args, " "); !strings.Contains(args, "-c "+filepath.Join(dir, "nginx.conf")) {
		t.Errorf("nginx is run as %s", args)
	}
}
