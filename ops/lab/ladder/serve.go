package ladder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"flickrkillr/renderer"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// Versions of the site that Serve serves.
const (
	versionCGI     = "0.1"
	versionProcess = "0.2"
	versionProxy   = "proxy" // in place of nginx, from 0.3 on
	versionKept    = "kept"  // one page, from memory
)

// Serving is the configuration of one process of a rung.
type Serving struct {
	Version   string // "0.1", "0.2", "proxy" or "kept"
	Addr      string // host:port to listen on
	Postgres  string
	Files     string   // the folder of files and pictures
	Backends  []string // host:port of each process behind a proxy
	Memcached string   // host:port where the proxy finds files; "": it has none

	Page []string // the command that makes one page as a CGI program
	Kept string   // the file of the page of "kept", compressed by gzip

	Certificate, Key string // files in PEM, to serve HTTPS by HTTP/1.1 and HTTP/2; "": without TLS
}

// Serve serves until ctx ends.
func Serve(ctx context.Context, s Serving) error {
	var handler http.Handler
	switch s.Version {
	case versionCGI:
		handler = s.withFiles(s.cgi())
	case versionProcess:
		pages, closePages, err := openPages(ctx, s.Postgres, poolSize)
		if err != nil {
			return err
		}
		defer closePages()
		handler = s.withFiles(pages)
	case versionProxy:
		proxy, closeProxy := s.proxy()
		defer closeProxy()
		handler = proxy
	case versionKept:
		kept, err := keptPage(s.Kept)
		if err != nil {
			return err
		}
		handler = kept
	default:
		return fmt.Errorf("there is no version %q", s.Version)
	}
	return s.listenAndServe(ctx, handler)
}

// poolSize is the number of database connections of a process that stays: as many as the page workers of a renderer on
// two processors, and some more.
const poolSize = 8

// withFiles serves files and pictures from the folder, and pages by pages.
func (s Serving) withFiles(pages http.Handler) http.Handler {
	files := http.FileServer(http.Dir(s.Files))
	mux := http.NewServeMux()
	mux.Handle("/static/", files)
	mux.Handle("/img/", files)
	mux.Handle("/", pages)
	return mux
}

// pages makes pages in one undivided program: it reads the rows and renders the view itself, for each request.
type pages struct {
	pages   *renderer.Pages
	buffers sync.Pool // of *bytes.Buffer
}

func openPages(ctx context.Context, postgres string, connections int32) (*pages, func(), error) {
	pool, err := store.OpenPool(ctx, postgres, connections)
	if err != nil {
		return nil, nil, err
	}
	made, err := maker(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	p := &pages{pages: made}
	p.buffers.New = func() any { return bytes.NewBuffer(make([]byte, 0, 32<<10)) }
	return p, pool.Close, nil
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ref, err := page.ParsePath(r.URL.RequestURI())
	if err != nil {
		http.NotFound(w, r)
		return
	}
	buf := p.buffers.Get().(*bytes.Buffer)
	defer p.buffers.Put(buf)
	reply, err := p.pages.Make(r.Context(), ref, buf)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", reply.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(reply.Body)))
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // an error says that the visitor left
}

// keptPage answers every request with the page that a file has, compressed by gzip, from memory.
func keptPage(file string) (http.HandlerFunc, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the page to keep: %w", err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // an error says that the visitor left
	}, nil
}

// listenAndServe serves until ctx ends, and completes what it has begun.
func (s Serving) listenAndServe(ctx context.Context, handler http.Handler) error {
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() {
		if s.Certificate == "" {
			served <- server.Serve(l)
		} else {
			served <- server.ServeTLS(l, s.Certificate, s.Key)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
