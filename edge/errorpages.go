package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"flickrkillr/edge/cache"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// errorPages has the error pages ready, because an edge needs them when no renderer answers. Renderers make them, like
// every other page, once a minute, so that a new design reaches them too.
type errorPages struct {
	get func(ctx context.Context, ref page.Ref) (*cache.Page, error) // from a renderer, not compressed
	log *slog.Logger
	// secure passes the security header fields of a document on
	secure func(fieldFunc)
	pages  map[int]*atomic.Pointer[cache.Page]
}

const (
	errorsRenew = time.Minute
	errorsRetry = 200 * time.Millisecond // while one is missing
	retryAfter  = "2"                    // seconds, sent with every 503
)

func newErrorPages(
	get func(context.Context, page.Ref) (*cache.Page, error), secure func(fieldFunc), log *slog.Logger,
) *errorPages {
	e := &errorPages{get: get, secure: secure, log: log, pages: map[int]*atomic.Pointer[cache.Page]{}}
	for _, status := range []int{
		http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusInternalServerError, http.StatusServiceUnavailable,
		http.StatusInsufficientStorage,
	} {
		e.pages[status] = &atomic.Pointer[cache.Page]{}
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
		p, err := e.get(ctx, page.Error(status))
		if err != nil {
			e.log.Debug("cannot renew an error page", "status", status, "err", err)
			return // the other pages would fail too
		}
		slot.Store(p)
	}
}

// complete reports whether the edge has every error page.
func (e *errorPages) complete() bool {
	for _, slot := range e.pages {
		if slot.Load() == nil {
			return false
		}
	}
	return true
}

// page returns the body of the error page of a status, and a function that passes its header fields on.
func (e *errorPages) page(status int) (body []byte, fields func(fieldFunc)) {
	slot := e.pages[status]
	if slot == nil {
		slot = e.pages[http.StatusInternalServerError]
	}
	body, contentType := apology(status), []string{"text/html; charset=utf-8"}
	if p := slot.Load(); p != nil {
		body, contentType = p.Plain().Body, p.ContentType
	}
	return body, func(field fieldFunc) {
		field("Content-Type", contentType)
		field("X-Content-Type-Options", nosniff)
		field("Cache-Control", cacheNever)
		e.secure(field)
		field("Content-Length", []string{strconv.Itoa(len(body))})
		switch status {
		case http.StatusServiceUnavailable:
			field("Retry-After", []string{retryAfter})
		}
	}
}

// answer answers with the error page of a status. A Referrer-Policy that is set stays.
func (e *errorPages) answer(w http.ResponseWriter, r *http.Request, x *exchange, status int) {
	body, fields := e.page(status)
	h := w.Header()
	policy, strict := h["Referrer-Policy"]
	fields(func(name string, value []string) { h[name] = value })
	if strict {
		h["Referrer-Policy"] = policy
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", methodsOf(r.URL.EscapedPath()))
	}
	x.status = status
	x.writeHeaders(h)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		x.bytes, x.cut = w.Write(body)
	}
}

// apology is the only page that the edge makes itself. It is sent until the first renderer has replied.
func apology(status int) []byte {
	text := http.StatusText(status)
	if status >= 500 {
		text = "Flickr Killr will be back in a few seconds."
	}
	return []byte(`<!doctype html><html lang="en"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width"><title>` + text +
		`</title></head><body><p>` + text + ` <a href="/">Home</a></p></body></html>`)
}
