package pool

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

//go:embed static
var static embed.FS

var pageTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"line": svgLine, "area": func(v []float64) string { return svgLine(v) + "V32H0Z" },
}).ParseFS(static, "static/pool.html"))

const (
	every      = time.Second
	mostLooks  = 50               // streams of events at once
	lookLinger = 30 * time.Second // for how long roles are asked after the last one has gone
	writeTime  = 5 * time.Second  // for an event
	// contentPolicy allows the page its own style sheet, script and stream.
	contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// Bus is a connection to the bus that can say why it is down.
type Bus interface {
	Down() error
	Close()
}

// Watch is the page /pool. While somebody looks it asks all roles once a second. Its owner calls Run.
type Watch struct {
	join    func() (Bus, *nats.Conn, error)
	scaling func() string // how the number of renderers follows the load; "": it does not
	log     *slog.Logger

	wake  chan struct{} // of capacity 1: somebody looks
	ended chan struct{} // closed when Run ends

	mu      sync.Mutex
	looks   int
	left    time.Time // when the last one went
	part    []byte    // what is shown, as HTML; nil: nothing is known yet
	changed chan struct{}
}

// NewWatch returns a Watch. join connects to the bus, as a role that may ask for statistics. scaling says how the
// number of renderers follows the load, "" if it does not.
func NewWatch(join func() (Bus, *nats.Conn, error), scaling func() string, log *slog.Logger) *Watch {
	return &Watch{
		join: join, scaling: scaling, log: log,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), changed: make(chan struct{}),
	}
}

// Run asks while somebody looks, until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	defer close(w.ended)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		if err := w.ask(ctx); err != nil {
			w.log.Warn("the page of the pool knows nothing", "err", err)
			w.show(View{Problem: err.Error()})
		}
	}
}

// ask shows what the roles say until nobody has looked for a while.
func (w *Watch) ask(ctx context.Context) error {
	bus, nc, err := w.join()
	if err != nil {
		return err
	}
	defer bus.Close()
	defer w.forget()
	connected(ctx, nc)
	gatherer, history := NewGatherer(nc, ""), &History{}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for w.wanted() {
		shot, err := gatherer.Gather(ctx)
		switch down := bus.Down(); {
		case ctx.Err() != nil:
			return nil
		case down != nil:
			w.show(View{Problem: down.Error()})
		case err != nil:
			w.show(View{Problem: err.Error()})
		default:
			history.Add(shot)
			view := history.View()
			view.Scaling = w.scaling()
			w.show(view)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	return nil
}

// connected waits until the connection is there, for a second at most.
func connected(ctx context.Context, nc *nats.Conn) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = nc.FlushWithContext(ctx) // what it fails with shows when the roles are asked
}

func (w *Watch) wanted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks > 0 || time.Since(w.left) < lookLinger
}

// show makes v what everybody sees.
func (w *Watch) show(v View) {
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, "pool", v); err != nil {
		w.log.Error("write the page of the pool", "err", err)
		return
	}
	w.set(b.Bytes())
}

// forget makes the next one who looks wait for news.
func (w *Watch) forget() { w.set(nil) }

func (w *Watch) set(part []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.part = part
	close(w.changed)
	w.changed = make(chan struct{})
}

// look counts one who looks; false: too many do. The caller calls leave.
func (w *Watch) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.looks >= mostLooks {
		return false
	}
	w.looks++
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return true
}

func (w *Watch) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks--
	w.left = time.Now()
}

// shown is what is shown, and a channel that is closed when that changes.
func (w *Watch) shown() (part []byte, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.part, w.changed
}

// Register adds the page, its files and its stream to a mux.
func (w *Watch) Register(mux *http.ServeMux) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is in the program
	}
	mux.HandleFunc("GET /pool", w.page)
	mux.HandleFunc("GET /pool/events", w.events)
	for _, name := range []string{"pool.css", "pool.js"} {
		mux.Handle("GET /pool/"+name, headed(http.StripPrefix("/pool/", http.FileServerFS(files))))
	}
	mux.Handle("GET /pool/{$}", http.RedirectHandler("/pool", http.StatusMovedPermanently))
}

// headed adds the header fields that every answer has.
func headed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		header(rw)
		h.ServeHTTP(rw, r)
	})
}

func header(rw http.ResponseWriter) {
	for name, value := range map[string]string{
		"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		rw.Header().Set(name, value)
	}
}

// firstNews is how long the page waits for the first answers of roles.
const firstNews = 2 * time.Second

// page shows what is known, or within two seconds becomes known.
func (w *Watch) page(rw http.ResponseWriter, r *http.Request) {
	if !w.look() {
		http.Error(rw, "too many look at this page", http.StatusServiceUnavailable)
		return
	}
	defer w.leave()
	ctx, cancel := context.WithTimeout(r.Context(), firstNews)
	defer cancel()
	part, changed := w.shown()
	for part == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-w.ended:
			cancel()
		case <-changed:
			part, changed = w.shown()
		}
	}
	header(rw)
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The part was made by the other template, which has escaped it.
	if err := pageTemplate.ExecuteTemplate(rw, "page", template.HTML(part)); err != nil { //nolint:gosec
		w.log.Debug("the page of the pool was not sent", "err", err)
	}
}

// events is a stream of Server-Sent Events: each has what is shown.
func (w *Watch) events(rw http.ResponseWriter, r *http.Request) {
	if !w.look() {
		http.Error(rw, "too many look at this page", http.StatusServiceUnavailable)
		return
	}
	defer w.leave()
	header(rw)
	rw.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(rw)
	for {
		part, changed := w.shown()
		if part != nil {
			text := "data: " + strings.ReplaceAll(string(part), "\n", "\ndata: ") + "\n\n"
			_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // where there is none, the server has bounds
			if _, err := fmt.Fprint(rw, text); err != nil || control.Flush() != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-w.ended:
			return
		case <-changed:
		}
	}
}

// svgLine is the path of a line in a box of 120 by 32. The newest value is at the right.
func svgLine(values []float64) string {
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	at := lineLength - len(values)
	b.WriteString("M" + strconv.Itoa(at) + " 32")
	for i, v := range values {
		y := 31.0
		if top > 0 {
			y = 31 - 29*v/top
		}
		fmt.Fprintf(&b, "L%d %.1f", at+i, y)
	}
	return b.String()
}
