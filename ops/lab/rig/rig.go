package rig

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
)

// Process is a program to start. If it has a readiness URL, it must answer there before the next one is started.
type Process = site.Process

// Config is the input of Start. URL is required.
type Config struct {
	URL       string // where visitors go: http://127.0.0.1:port, or https
	Probe     string // a path that answers 200 once all processes are ready; "" is /
	Processes []Process
	Logger    *slog.Logger // logs processes that end by themselves; nil: silent
}

// Server is a set of processes that answer together. Make it with Start.
type Server struct {
	url       string
	processes []*stack.Supervised
	running   site.Group
}

// Bounds of starting and stopping.
const (
	startWait = 20 * time.Second
	stopGrace = 17 * time.Second // a role completes its requests within 15 s
)

// Start starts all processes in order, and returns when they answer. If they do not, it stops those it has started.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	log := cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	s := &Server{url: cfg.URL}
	for _, p := range cfg.Processes {
		k := stack.Supervise(p.Name, stopGrace, log, p.Command)
		s.processes = append(s.processes, k)
		s.running.Add(p.Name, k.Run)
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

// wait returns when an address answers 200.
func (s *Server) wait(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // it has just been made here
	}}
	err := site.Await(ctx, s.running.Failed(), func(ctx context.Context) error {
		_, err := site.Get(ctx, client, url)
		return err
	})
	if err != nil {
		var names []string
		for _, p := range s.processes {
			names = append(names, p.Name())
		}
		return fmt.Errorf("%v do not answer at %s: %w", names, url, err)
	}
	return nil
}

// URL is where visitors go.
func (s *Server) URL() string { return s.url }

// Processes are the processes whose processor time counts.
func (s *Server) Processes() []bench.Server {
	all := make([]bench.Server, len(s.processes))
	for i, p := range s.processes {
		all[i] = bench.Server{Name: p.Name(), PID: p.PID()}
	}
	return all
}

// Stop ends all processes and waits for them. It may be called twice.
func (s *Server) Stop() error { return s.running.Stop() }
