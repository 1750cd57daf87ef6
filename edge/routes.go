package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// routes is every route there is. All that can be looked at is a [page.Ref], whose paths stand in schema/page; what is
// not a page's path is answered without touching the bus.
func (s *Server) routes() http.Handler {
	get := s.handle(s.page)
	refuse := s.handle(func(w http.ResponseWriter, r *http.Request, x *exchange) error { return errMethod })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method { // not a ServeMux: it would redirect "//" and "/./", which are nobody's path here
		case http.MethodGet, http.MethodHead:
			get(w, r)
		default:
			refuse(w, r)
		}
	})
}

// errMethod: pages are looked at, with GET and HEAD.
var errMethod = errors.New("method not allowed")

// handler answers a request or returns an error, in which case it has written nothing.
type handler func(w http.ResponseWriter, r *http.Request, x *exchange) error

// handle makes an http handler of h: it gives the request an id, writes the error page for an error, counts and logs.
func (s *Server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{start: time.Now(), number: s.nextID()}
		s.meters.inFlight.Inc()
		defer s.meters.inFlight.Dec()
		c := connOf(r)
		s.meters.delegated[delegatedWhy(r, c)].Inc()
		if c != nil {
			c.handled.Store(true)
		}
		if err := s.contain(h, w, r, x); err != nil && r.Context().Err() == nil {
			x.cause = err
			s.errs.answer(w, r, x, statusOf(err))
		}
		s.done(r, x)
		if x.status == 0 { // the visitor has left: net/http would say that all is well, and nothing more
			panic(http.ErrAbortHandler)
		}
	}
}

// contain runs a handler and makes a panic of it one error.
func (s *Server) contain(h handler, w http.ResponseWriter, r *http.Request, x *exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", "request", x.number.String(), "path", r.URL.Path, "panic", p,
				"stack", string(debug.Stack()))
			if x.status != 0 { // part of an answer is on its way: all that can be done is to cut it short
				panic(http.ErrAbortHandler)
			}
			err = wire.ErrInternal
		}
	}()
	return h(w, r, x)
}

// statusOf gives the HTTP status that an error deserves.
func statusOf(err error) int {
	switch {
	case errors.Is(err, page.ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, page.ErrMalformed):
		return http.StatusBadRequest
	case errors.Is(err, page.ErrTooLong):
		return http.StatusRequestURITooLong
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed
	}
	return wire.Status(err)
}

// done counts and logs an answer.
func (s *Server) done(r *http.Request, x *exchange) {
	s.count(x)
	if x.cause != nil && x.status >= 500 || x.tier == tierStale {
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "answer",
			slog.String("request", x.number.String()), slog.String("path", r.URL.Path),
			slog.Int("status", x.status), slog.String("cache", x.tier.String()), slog.Any("err", x.cause))
	}
	if s.cfg.AccessLog != nil {
		s.access(x, r.Method, r.URL.RequestURI(), r.RemoteAddr, r.Proto)
	}
}

func (s *Server) count(x *exchange) {
	s.meters.answered(x.tier, x.kind, x.start, x.bytes)
	s.meters.countStatus(x.status)
	s.counts.add(x)
}

func (s *Server) access(x *exchange, method, target, from, protocol string) {
	s.cfg.AccessLog.LogAttrs(context.Background(), slog.LevelInfo, "access",
		slog.String("request", x.number.String()), slog.String("method", method), slog.String("path", target),
		slog.Int("status", x.status), slog.String("cache", x.tier.String()), slog.Int("bytes", x.bytes),
		slog.Duration("took", time.Since(x.start)), slog.String("from", from), slog.String("protocol", protocol),
		slog.Bool("cut", x.cut != nil))
}
