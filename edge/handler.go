package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

var (
	errMethod = errors.New("method not allowed") // neither GET nor HEAD
	errBody   = fmt.Errorf("%w: a request for a page with a body", page.ErrMalformed)
)

// ServeHTTP answers the requests that the fast path does not. The edge uses no ServeMux: that would redirect "//" and
// "/./", but no page has such a path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{start: time.Now(), number: s.ids.next(), trace: traceOf(r.Header)}
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	s.readForwarded(r)
	if s.hsts != nil && takesHSTS(r.Host) {
		w.Header()["Strict-Transport-Security"] = s.hsts
	}
	// Where the body of a request ends, a proxy and net/http may not agree: net/http takes a length beside chunks, and
	// folded fields. No page needs a body, so nothing that comes behind one is read.
	if s.draining.Load() || r.ProtoMajor == 1 && hasBody(r) {
		w.Header().Set("Connection", "close") // net/http obeys it, and sends GOAWAY to a client of HTTP/2
	}
	err := s.contain(w, r, x)
	if err != nil && !errors.Is(err, errLeft) && r.Context().Err() == nil {
		x.cause = err
		s.errs.answer(w, r, x, statusOf(err))
	}
	s.finish(x, r.Method, r.URL.RequestURI, r.RemoteAddr, r.Proto)
	if x.status == 0 || x.unfinished { // the client has left; net/http would add an empty 200, or end the body
		panic(http.ErrAbortHandler)
	}
}

// contain returns a panic as an error, if nothing was written.
func (s *Server) contain(w http.ResponseWriter, r *http.Request, x *exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(x, r.URL.Path, p)
			if x.status != 0 { // part of an answer was sent: close the connection
				panic(http.ErrAbortHandler)
			}
			err = wire.ErrInternal
		}
	}()
	if isUpload(r.URL.EscapedPath()) {
		return s.uploads(w, r, x)
	}
	if answer, ok := s.isDownload(r.URL.EscapedPath()); ok {
		return answer(w, r, x)
	}
	if share, ok := page.ParseShareFiles(r.URL.EscapedPath()); ok {
		return s.guestFiles(w, r, x, share)
	}
	if share, ok := page.ParseShare(r.URL.EscapedPath()); ok {
		return s.share(w, r, x, share)
	}
	if ref, signOut, ok := isPrivate(r.URL.EscapedPath()); ok {
		return s.private(w, r, x, ref, signOut)
	}
	return s.page(w, r, x)
}

func (s *Server) logPanic(x *exchange, path string, p any) {
	s.log.Error("panic", "request", x.number.String(), "path", hidden(path), "panic", p, "stack", string(debug.Stack()))
}

// page answers a GET or HEAD. If it returns an error it has written nothing.
func (s *Server) page(w http.ResponseWriter, r *http.Request, x *exchange) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errMethod
	}
	if hasBody(r) {
		if r.ProtoMajor == 2 {
			// A body of another length than announced is an error there, which net/http knows when it comes.
			_, _ = r.Body.Read(make([]byte, 1))
		}
		return errBody
	}
	ref, err := page.ParsePath(r.URL.RequestURI())
	if err != nil {
		return err
	}
	x.kind = ref.Kind()
	if to, moved := canonical(r, ref); moved {
		s.redirect(w, x, to)
		return nil
	}
	x.accept = cache.ParseAccept(r.Header["Accept-Encoding"])
	x.atLeast = s.tokens.Adopt(r)
	variant, err := s.pages.resolve(httpClient{r}, x, variantOf(s.origins, ref, r.Host, x.accept))
	if err != nil {
		return err
	}
	s.answer(w, r, x, variant)
	return nil
}

// hasBody reports whether a request announces a body, which may be empty.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 || len(r.TransferEncoding) > 0 }

// httpClient is the client of a request that net/http reads.
type httpClient struct{ r *http.Request }

func (c httpClient) Watch() (ctx context.Context, stop func()) { return c.r.Context(), func() {} }

// variantOf returns the page to fetch for a client: the compressed file of an asset, and pages with absolute links for
// one of the origins.
func variantOf[T string | []byte](o origins, ref page.Ref, host T, accept cache.Accept) page.Ref {
	if ref.Kind() == page.KindAsset {
		ref = ref.Encoded(accept.Asset())
	}
	return withOrigin(o, ref, host)
}

// canonical returns the path to redirect to if the requested one is another spelling of it.
func canonical(r *http.Request, ref page.Ref) (string, bool) {
	var buf [256]byte
	path := ref.AppendPath(buf[:0])
	plain, _, _ := bytes.Cut(path, []byte{'?'})
	if string(plain) == r.URL.EscapedPath() {
		return "", false
	}
	return string(path), true
}

// statusOf returns the HTTP status of an error.
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
	case errors.Is(err, errCrossOrigin):
		return http.StatusForbidden
	case errors.Is(err, errFormTooLong):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errFormType):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, session.ErrOvertaken):
		return http.StatusConflict
	case errors.Is(err, errTookLong), errors.Is(err, errFormsFull):
		return http.StatusServiceUnavailable
	}
	return wire.Status(err)
}

// finish counts and logs an answer, whether of ServeFast or of ServeHTTP. target returns the request's path and query.
// A panic does not cut the connection: the answer may not be sent yet.
func (s *Server) finish(x *exchange, method string, target func() string, from, protocol string) {
	defer func() {
		if p := recover(); p != nil { // perhaps of what hides secrets in the path, so the path is not logged
			s.log.Error("panic", "request", x.number.String(), "method", method, "status", x.status, "from", from,
				"panic", p, "stack", string(debug.Stack()))
		}
	}()
	s.pages.observe(x)
	s.metrics.answered(x)
	s.counts.add(x)
	if x.cause != nil && x.status >= 500 || x.tier == tierStale {
		path, _, _ := strings.Cut(target(), "?") // what people search for does not belong in this log
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "answer",
			slog.String("request", x.number.String()), x.trace.Attr(),
			slog.String("path", hidden(path)),
			slog.Int("status", x.status), slog.String("cache", x.tier.String()), slog.Any("err", x.cause))
	}
	if s.cfg.AccessLog != nil {
		s.cfg.AccessLog.LogAttrs(context.Background(), slog.LevelInfo, "access",
			slog.String("request", x.number.String()), x.trace.Attr(),
			slog.String("method", method),
			slog.String("path", logged(target())), slog.Int("status", x.status),
			slog.String("cache", x.tier.String()), slog.Int("bytes", x.bytes),
			slog.Duration("took", time.Since(x.start)), slog.String("from", from), slog.String("protocol", protocol),
			slog.Bool("cut", x.cut != nil))
	}
}
