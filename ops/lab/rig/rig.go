package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"sync"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/stack"
)

// Process is a program to start. Command returns a fresh command each time it is asked.
type Process struct {
	Name    string
	Ready   string // an address that must answer with 200 before the next process is started; "": nothing is waited for
	Command func() *exec.Cmd
}

// Config says what a Server is made of. URL is needed.
type Config struct {
	URL       string // where visitors go: http://127.0.0.1:port
	Probe     string // the path that answers with 200 once everything is there; "" is /
	Processes []Process
	Logger    *slog.Logger // hears of processes that end by themselves; nil: silent
}

// Server is processes that answer together. Make it with Start.
type Server struct {
	url    string
	names  []string
	kept   []*stack.Kept
	cancel context.CancelFunc

	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

// Bounds of starting and stopping.
const (
	startWait = 20 * time.Second
	stopGrace = 17 * time.Second // a role finishes what it holds for 15 s
)

// Start starts all processes, in their order, and returns when they answer. What was started is stopped again when they do not.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	log := cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	running, cancel := context.WithCancel(context.WithoutCancel(ctx)) // ends in Stop, in its order
	s := &Server{url: cfg.URL, cancel: cancel}
	for _, p := range cfg.Processes {
		k := stack.Keep(p.Name, stopGrace, log, p.Command)
		s.names, s.kept = append(s.names, p.Name), append(s.kept, k)
		s.running.Go(func() { s.note(k.Run(running)) })
		if p.Ready == "" {
			continue
		}
		if err := s.wait(ctx, p.Ready); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	if err := s.wait(ctx, cfg.URL+cmp.Or(cfg.Probe, "/")); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// failed is what is known to have gone wrong so far.
func (s *Server) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

// wait returns when an address answers with 200.
func (s *Server) wait(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		err := Get(ctx, client, url)
		if err == nil {
			return nil
		}
		if bad := s.failed(); bad != nil {
			return bad
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%v do not answer at %s: %w", s.names, url, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Get asks for a page and reads it whole. Anything but a 200 is an error.
func Get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// URL is where visitors go.
func (s *Server) URL() string { return s.url }

// Processes are those whose processor time an answer costs.
func (s *Server) Processes() []bench.Server {
	all := make([]bench.Server, len(s.kept))
	for i, k := range s.kept {
		all[i] = bench.Server{Name: s.names[i], PID: k.PID()}
	}
	return all
}

// Stop ends all processes and waits for them. Safe to call twice.
func (s *Server) Stop() error {
	s.cancel()
	s.running.Wait()
	return s.failed()
}
