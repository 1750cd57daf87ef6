package site

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// TestProcessesOfARoleStartInTurn: of two that were killed at once the second starts again when the first says that it
// is ready.
func TestProcessesOfARoleStartInTurn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	script := []byte("#!/bin/sh\nexec sleep 3600\n")
	if err := os.WriteFile(program, script, 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	s := New(Config{DebugAddr: "127.0.0.1:0", Processes: &ProcessConfig{Program: program, Data: dir}})
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s.turns[Cachefill] = stack.NewTurns(time.Hour)
	if err := s.Add(Cachefill, 2); err != nil {
		t.Fatal(err)
	}
	both := s.all(Cachefill)
	old := map[int]bool{}
	for _, r := range both {
		testenv.Eventually(t, r.name+" runs", func() bool { return r.process.PID() != 0 })
		old[r.process.PID()] = true
	}
	for pid := range old {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	again := func() (started []*running) {
		for _, r := range both {
			if pid := r.process.PID(); pid != 0 && !old[pid] {
				started = append(started, r)
			}
		}
		return started
	}
	testenv.Eventually(t, "one starts again", func() bool { return len(again()) > 0 })
	time.Sleep(200 * time.Millisecond) // the other's supervisor has long since asked for its turn
	first := again()
	if len(first) != 1 {
		t.Fatal("both start at once")
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(first[0].ready, "http://"), readyPath)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) {}, // 200
	)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()
	testenv.Eventually(t, "the other starts when the first is ready", func() bool { return len(again()) == 2 })
}

// Renderers alone get the keys of the picture store.
func TestPictureKeys(t *testing.T) {
	t.Parallel()
	for role, want := range map[Role]int{Renderer: 3, Together: 3, Edge: 1, Cachefill: 1, Bus: 1} {
		env := []string{"AWS_ACCESS_KEY_ID=x", "PATH=/bin", "AWS_SECRET_ACCESS_KEY=y"}
		if got := withoutPictureKeys(role, env); len(got) != want || !slices.Contains(got, "PATH=/bin") {
			t.Errorf("%s has %v", role, got)
		}
	}
}
