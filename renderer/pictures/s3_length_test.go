package pictures_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"flickrkillr/renderer/pictures"
)

// An object of no known length, or of too many bytes, cannot be read. That ends nothing else, and is no outage.
func TestBucketOfOddLengths(t *testing.T) {
	t.Parallel()
	for _, length := range []string{"", "99999999"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
			if w.Header().Set("ETag", `"1"`); length != "" {
				w.Header().Set("Content-Length", length)
			}
			w.(http.Flusher).Flush() // without a length it is sent in chunks
		}))
		store := openFiles(t, "s3://odd?region=r&endpoint="+server.URL)
		names := []string{pictures.DerivativeName(pictures.ID(nil), 320)}
		if length == "" {
			names = append(names, pictures.ID(nil))
		}
		for range 10 {
			for _, name := range names {
				if _, err := store.Open(t.Context(), name); err == nil || errors.Is(err, pictures.ErrUnavailable) ||
					errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of %q bytes: %v, want another error", name, length, err)
				}
			}
		}
		if store.(*pictures.Bucket).Away() {
			t.Errorf("length %q: the store is left alone", length)
		}
		server.Close()
	}
}

// endsAfter is a context that ends when somebody has looked at it after the first request.
type endsAfter struct {
	context.Context
	end  func()
	sent *atomic.Bool
}

func (c *endsAfter) Err() error {
	err := c.Context.Err()
	if c.sent.Load() {
		c.end()
	}
	return err
}

// When time is up after the original is gone, its derivatives are not, and Delete does not say so.
func TestBucketDeletesHalf(t *testing.T) {
	t.Parallel()
	var sent atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			t.Errorf("%s %s after the end", r.Method, r.URL)
		}
		sent.Store(true)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	store := openFiles(t, "s3://half?region=r&endpoint="+server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := store.Delete(&endsAfter{ctx, cancel, &sent}, pictures.ID(nil))
	if !errors.Is(err, context.Canceled) || !sent.Load() {
		t.Errorf("%v, want context.Canceled", err)
	}
}
