package edge

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"flickrkillr/edge/download"
)

// sendFile answers with a file, or a part of it. When the rest cannot be had, or ctx ends, it cuts the connection.
func (s *Server) sendFile(ctx context.Context, w http.ResponseWriter, r *http.Request, x *exchange, file sentFile) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // else it would end the request
	h := w.Header()
	s.secureFields(h)
	h.Set("Content-Type", file.kind)
	h.Set("Content-Disposition", disposition(file.name))
	h.Set("Etag", `"`+file.tag+`"`)
	x.tier = tierRender
	// Of several ranges each could be one byte, and all the chunks around them were fetched. Nobody needs them: the
	// answer is the whole file, as RFC 9110 allows.
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	content := file.Open(ctx)
	defer content.Close()
	out := &fileWriter{ResponseWriter: w, control: control, x: x, content: content}
	stop := context.AfterFunc(ctx, out.end)
	http.ServeContent(out, r, "", time.Time{}, content)
	if !stop() {
		out.end() // no later than now, as the connection is not ours afterwards
	}
	if x.cut = errors.Join(content.Err(), out.err); x.cut != nil {
		x.cut = errors.Join(x.cut, context.Cause(ctx))
		s.log.Debug("download cut", "request", x.number.String(), "err", x.cut)
		x.unfinished = true
	}
}

// fileWriter gives each part of a body its own deadline, and notes the status.
type fileWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	x       *exchange
	content *download.Reader
	err     error

	mu    sync.Mutex // of deadlines
	ended bool
}

func (w *fileWriter) WriteHeader(status int) {
	w.x.status = status
	w.x.writeHeaders(w.Header())
	if status == http.StatusPartialContent {
		if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil {
			w.content.Limit(n)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *fileWriter) Write(p []byte) (n int, err error) {
	if err = w.allow(writeTimeoutOf(len(p))); err == nil {
		n, err = w.ResponseWriter.Write(p)
	}
	w.x.bytes += n
	w.err = err
	return n, err
}

// allow gives the next write some time.
func (w *fileWriter) allow(d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return errCut
	}
	return w.control.SetWriteDeadline(time.Now().Add(d))
}

// errCut is what a write returns after the download was ended.
var errCut = errors.New("the download was cut")

// end ends a write that waits for the client, and all later ones.
func (w *fileWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended = true
		_ = w.control.SetWriteDeadline(time.Now()) // if that fails the connection is closed
	}
}
