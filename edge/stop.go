package edge

import (
	"context"
	"fmt"
)

// drain lets clients and load balancers go elsewhere.
func (s *Server) drain(ctx context.Context) {
	s.draining.Store(true)
	s.fast.Drain()
	if s.cfg.Drain > 0 {
		s.log.Info("draining", "took", s.cfg.Drain)
		s.pause(ctx, s.cfg.Drain)
	}
	s.http.SetKeepAlivesEnabled(false) // answers of earlier requests close their connections, too
}

// closePort takes no further connections. It lets clients that have connected send their first request, and before it
// what a proxy says of them, for as long as a request may take. Most of StopTimeout is left for requests. Serve has
// returned then: served tells of that.
func (s *Server) closePort(ctx context.Context, served <-chan error) {
	ctx, cancel := context.WithTimeout(ctx, min(headerTimeout, s.cfg.StopTimeout/3))
	defer cancel()
	_ = s.plain.close() // its clients end beside those of the edge
	if s.proxied != nil {
		s.proxied.Retire(ctx)
	}
	_ = s.lis.Close()
	<-served
	_ = s.fast.WaitBegun(ctx)
}

func (s *Server) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StopTimeout)
	defer cancel()
	s.fast.Stop()
	s.events.Stop()  // browsers go on at another edge
	s.endDownloads() // likewise, with a range
	err := s.http.Shutdown(ctx)
	if err == nil {
		err = s.fast.Wait(ctx)
	}
	if err != nil {
		s.fast.Cut() // the requests that are left took longer than StopTimeout
		_ = s.http.Close()
		return fmt.Errorf("edge: requests cut after %v: %w", s.cfg.StopTimeout, err)
	}
	return nil
}
