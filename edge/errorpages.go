package edge

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// errorPages keeps the pages that an edge may need when it cannot, or need not, ask anybody: rendered ahead, by renderers like every other
// page, and asked for anew now and then so that a new look reaches them too.
type errorPages struct {
	s     *Server
	pages map[int]*atomic.Pointer[held]
}

const (
	errorsRenew = time.Minute            // pages rendered ahead are renewed this often
	errorsRetry = 200 * time.Millisecond // and asked for this often while there are none
	retryAfter  = "2"                    // seconds, said with every 503
)

func newErrorPages(s *Server) *errorPages {
	e := &errorPages{s: s, pages: map[int]*atomic.Pointer[held]{}}
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestURITooLong,
		http.StatusInternalServerError, http.StatusServiceUnavailable} {
		e.pages[status] = &atomic.Pointer[held]{}
	}
	return e
}

// run renews the pages until ctx ends.
func (e *errorPages) run(ctx context.Context) {
	for {
		e.renew(ctx)
		wait := errorsRenew
		if !e.complete() {
			wait = errorsRetry
		}
		if !sleep.For(ctx, wait) {
			return
		}
	}
}

func (e *errorPages) renew(ctx context.Context) {
	for status, slot := range e.pages {
		ref := page.Error(status)
		got, _, err := e.s.calls.do(ctx, ref, wire.Deadline(ref), func(ctx context.Context) (fetched, error) {
			return e.s.fetch(ctx, want{ref: ref}, e.s.nextID().String())
		})
		if err == nil && !e.s.compressor.opens(got.copy) { // it is sent plain, to whoever
			err = errBroken
		}
		if err != nil {
			e.s.log.Debug("error page: not renewed", "status", status, "err", err)
			return // whoever did not answer for one will not for the next
		}
		slot.Store(got.copy)
	}
}

// complete reports whether each page is there.
func (e *errorPages) complete() bool {
	for _, slot := range e.pages {
		if slot.Load() == nil {
			return false
		}
	}
	return true
}

// answer writes the error page of a status.
func (e *errorPages) answer(w http.ResponseWriter, r *http.Request, x *exchange, status int) {
	h := w.Header()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	slot := e.pages[status]
	if slot == nil {
		slot = e.pages[http.StatusInternalServerError]
	}
	body, contentType := apology(status), []string{"text/html; charset=utf-8"}
	if c := slot.Load(); c != nil {
		body, contentType = c.plain.Load().body, c.contentType
	}
	x.status = status
	x.writeHeaders(h)
	h["Content-Type"] = contentType
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = cacheNever
	secure(func(name string, value []string) { h[name] = value })
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		x.bytes, x.cut = w.Write(body)
	}
}

// apology is the one page that an edge has of its own, for when no renderer has ever answered it.
func apology(status int) []byte {
	text := http.StatusText(status)
	if status >= 500 {
		text = "Flickr Killr will be back in a few seconds."
	}
	return []byte(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>` + text +
		`</title></head><body><p>` + text + ` <a href="/">Home</a></p></body></html>`)
}
