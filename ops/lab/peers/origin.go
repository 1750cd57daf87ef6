package peers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
)

// gzipLevel yields a tenth fewer bytes than the level of renderers, so that no peer has more to send.
const gzipLevel = 5

// serveOrigin serves the page as it is cached to the caches that fetch it, once each. The result ends it.
func (r *run) serveOrigin() (func() error, error) {
	r.kept = r.cfg.Body
	if r.cfg.Gzip {
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzipLevel)
		if err == nil {
			_, err = z.Write(r.cfg.Body)
		}
		if err = errors.Join(err, z.Close()); err != nil {
			return nil, fmt.Errorf("compress the page: %w", err)
		}
		r.kept, r.more = packed.Bytes(), gzipped
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.origin = l.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(r.answerKept), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	return func() error {
		err := server.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		return err
	}, nil
}

func (r *run) answerKept(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(r.kept)))
	if r.cfg.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	_, _ = w.Write(r.kept) // a cache that left asks again
}
