//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/ops/fleet"
)

// server is the machine of a test.
type server struct {
	*fleet.Machine
	t     *testing.T
	fleet *fleet.Fleet
}

func boot(t *testing.T) *server {
	t.Helper()
	f, err := fleet.Start(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &server{f.Machines[0], t, f}
	t.Cleanup(func() {
		if t.Failed() {
			journal, _ := s.Run(context.Background(), "journalctl --no-pager -o cat -n 300 -u 'killr*' -u 'services*'")
			t.Log(journal)
		}
	})
	return s
}

// run runs a command that has to succeed within 3 minutes, and returns its output.
func (s *server) run(format string, args ...any) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	out, err := s.Run(ctx, "set -eu\n"+fmt.Sprintf(format, args...))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// send copies a file of this computer to the machine.
func (s *server) send(from, to string) {
	s.t.Helper()
	copying := s.fleet.Command(s.t.Context(), "scp", "-q", "-F", "/run/fleet/ssh_config", from, s.Name+":"+to)
	if out, err := copying.CombinedOutput(); err != nil {
		s.t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

// write writes a file on the machine.
func (s *server) write(name string, text []byte) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "file")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.send(file, name)
}

// visit gets a page at a port of the machine, by a client of [server.client].
func (s *server) visit(client *http.Client, port int, path string) error {
	resp, err := client.Get(fmt.Sprintf("http://%s:%d%s", s.Address, port, path))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return err
}

// client visits the machine, on connections that stay, or each time on another one.
func (s *server) client(stays bool) *http.Client {
	transport := &http.Transport{DialContext: s.fleet.Dial, DisableKeepAlives: !stays}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// load visits a page all the time, on connections that stay and on others, until stop. Each failure is one of the test.
func (s *server) load(path string) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var visitors sync.WaitGroup
	for _, stays := range []bool{true, false} {
		client := s.client(stays)
		visitors.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond) // 2 x 200 a second at most
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				if err := s.visit(client, 80, path); err != nil {
					s.t.Errorf("visit %d, on a connection that stays (%t): %v", n, stays, err)
					return
				}
				<-pace.C
			}
		})
	}
	return func() {
		cancel()
		visitors.Wait()
	}
}
