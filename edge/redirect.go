package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"flickrkillr/edge/fastpath"
)

// redirector sends clients without TLS to the edge's port with TLS, and answers challenges of a CA. It has bounds of
// its own, so that a flood of such clients takes no connection of others.
type redirector struct {
	lis  net.Listener
	http *http.Server
	open sync.WaitGroup // connections
	log  *slog.Logger
}

// mostRedirects is how many connections without TLS are open at once. Each ends with its answer.
const mostRedirects = 1000

// newRedirector listens; nil: the edge has none.
func (s *Server) newRedirector() (*redirector, error) {
	if s.cfg.RedirectAddr == "" && s.cfg.Redirects == nil {
		return nil, nil
	}
	if !s.cfg.Encrypts() {
		return nil, errors.New("edge: an address that sends clients to HTTPS needs a certificate")
	}
	lis, err := s.listenTCP(s.cfg.Redirects, s.cfg.RedirectAddr)
	if err != nil {
		return nil, err
	}
	lis = newFairListener(lis, min(s.cfg.AddressConns, mostRedirects/4), s.proxies,
		func(netip.Prefix) { s.metrics.refused.Inc() })
	handler := http.Handler(http.HandlerFunc(s.redirectToTLS))
	if s.ordered != nil {
		handler = s.ordered.Answer(handler)
	}
	r := &redirector{lis: netutil.LimitListener(lis, mostRedirects), log: s.log, http: &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout,
		WriteTimeout: 10 * time.Second, MaxHeaderBytes: s.http.MaxHeaderBytes, DisableGeneralOptionsHandler: true,
		ErrorLog: s.http.ErrorLog,
	}}
	r.http.SetKeepAlivesEnabled(false)
	r.http.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			r.open.Add(1)
		case http.StateClosed:
			r.open.Done()
		}
	}
	return r, nil
}

// run serves until ctx ends or the listener is closed, and answers clients then that have connected and send their
// request soon.
func (r *redirector) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = r.lis.Close() })
	defer stop()
	r.log.Info("listening for clients without TLS", "addr", r.lis.Addr().String())
	if err := r.http.Serve(r.lis); !errors.Is(err, net.ErrClosed) {
		r.log.Error("clients without TLS are not sent to HTTPS any more", "err", err)
	}
	late := time.AfterFunc(headerTimeout, func() { _ = r.http.Close() })
	defer late.Stop()
	r.open.Wait()
}

func (r *redirector) close() error {
	if r == nil {
		return nil
	}
	return r.lis.Close()
}

// redirectToTLS answers a request without TLS. A form that somebody sends without TLS has been seen on its way, and is
// sent again by the browser: 308 keeps its method.
func (s *Server) redirectToTLS(w http.ResponseWriter, r *http.Request) {
	w.Header()["X-Content-Type-Options"] = nosniff
	to := s.withinTLS(r.Host)
	if to == "" || !strings.HasPrefix(r.URL.Path, "/") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header()["Location"] = []string{to + r.URL.RequestURI()}
	w.WriteHeader(http.StatusPermanentRedirect)
}

// withinTLS is the address within TLS for visitors who name this Host: an origin of that name, or else the same host
// with the edge's port; "" if the Host is none.
func (s *Server) withinTLS(host string) string {
	if !fastpath.ValidHost([]byte(host)) {
		return ""
	}
	name := host
	if alone, _, err := net.SplitHostPort(host); err == nil {
		if name = alone; strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
	}
	for _, known := range []string{strings.ToLower(host), strings.ToLower(name), strings.ToLower(name) + ":443"} {
		if origin := s.origins[known]; strings.HasPrefix(origin, "https://") {
			return origin
		}
	}
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil || name == "" {
		return ""
	}
	if port == defaultPorts["https"] {
		return "https://" + name
	}
	return "https://" + name + ":" + port
}
