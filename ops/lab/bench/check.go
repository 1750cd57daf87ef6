package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/gzip"
)

// The kinds of failure, besides "status 404" and the like.
const (
	kindConnect   = "cannot connect"
	kindTimeout   = "timeout"
	kindLost      = "connection lost" // before the first byte of an answer
	kindCut       = "cut short"       // within its head or body, or a page without its end
	kindMalformed = "malformed answer"
	kindType      = "wrong type"
	kindWrong     = "wrong page"
	kindPicture   = "not a picture"
)

// failure is a missing or wrong answer.
type failure struct {
	kind string
	err  error
}

func (f *failure) Error() string { return f.kind + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(kind, format string, args ...any) error {
	return &failure{kind, fmt.Errorf(format, args...)}
}

// kindOf is the kind of a failed exchange.
func kindOf(err error) string {
	var network net.Error
	var silent *silentError
	switch f := (*failure)(nil); {
	case errors.As(err, &network) &&
		network.Timeout(), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return kindTimeout
	case errors.As(err, &f):
		return f.kind
	case errors.As(err, &silent):
		return kindLost
	case errors.Is(err, io.ErrUnexpectedEOF):
		return kindCut
	case errors.As(err, &network), errors.Is(err, io.EOF):
		return kindLost
	}
	return kindMalformed
}

// cacheable reports, by Cache-Control, whether a browser reuses the answer without revalidation during a visit.
func cacheable(cacheControl string) bool {
	for item := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return false
		case "immutable":
			return true
		case "max-age":
			seconds, err := strconv.Atoi(value)
			return err == nil && seconds > 0
		}
	}
	return false
}

// gzipReaders are reused.
var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

func decompress(a answer) ([]byte, error) {
	switch a.encoding {
	case "", "identity":
		return a.body, nil
	case "gzip":
	default:
		return nil, failed(kindMalformed, "content encoding %q, which was not accepted", a.encoding)
	}
	z := gzipReaders.Get().(*gzip.Reader)
	defer gzipReaders.Put(z)
	if err := z.Reset(bytes.NewReader(a.body)); err != nil {
		return nil, failed(kindMalformed, "gzip: %w", err)
	}
	body, err := readBody(make([]byte, 0, 8*len(a.body)), z, -1)
	if err != nil {
		return nil, failed(kindMalformed, "gzip: %w", err)
	}
	return body, nil
}

// checkPage checks that the answer is the whole page, which may be a picture, and returns what a browser reads from it.
// Bytes that were seen before are not decompressed and parsed again.
func (r *run) checkPage(p Page, a answer) (*parsedPage, error) {
	if path.Ext(p.Path) == ".jpg" {
		return &parsedPage{}, checkFile(need{path: p.Path}, a)
	}
	if a.status != http.StatusOK {
		return nil, failed(fmt.Sprintf("status %d", a.status), "%d bytes", len(a.body))
	}
	hash := xxhash.Sum64(a.body)
	if v, ok := r.parsedPages.GetIfPresent(p.Path); ok && v.hash == hash && v.user == p.User {
		return v, nil
	}
	if !strings.HasPrefix(a.mediaType, "text/html") {
		return nil, failed(kindType, "a page of the type %q", a.mediaType)
	}
	body, err := decompress(a)
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(bytes.TrimSpace(body), []byte("</html>")) {
		return nil, failed(kindCut, "%d bytes without </html> at their end", len(body))
	}
	if link := `"/photos/` + p.User; p.User != "" && !bytes.Contains(body, []byte(link+`"`)) &&
		!bytes.Contains(body, []byte(link+`/`)) {
		return nil, failed(kindWrong, "%d bytes without a link to a page of %s", len(body), p.User)
	}
	v := &parsedPage{}
	if r.needsContent {
		v = r.parsePage(p.Path, body)
	}
	v.hash, v.user = hash, p.User
	r.parsedPages.Set(p.Path, v)
	return v, nil
}

// mediaTypes are the beginnings of the media types of static files.
var mediaTypes = map[string]string{
	".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript", ".svg": "image/svg+xml",
	".jpg": "image/jpeg", ".png": "image/png",
}

// checkFile checks that the answer is what the file's name promises.
func checkFile(n need, a answer) error {
	if a.status != http.StatusOK {
		return failed(fmt.Sprintf("status %d", a.status), "%d bytes", len(a.body))
	}
	name, _, _ := strings.Cut(n.path, "?")
	extension := path.Ext(name)
	if want := mediaTypes[extension]; !strings.HasPrefix(a.mediaType, want) {
		return failed(kindType, "%q, want %q", a.mediaType, want)
	}
	if len(a.body) == 0 {
		return failed(kindCut, "no bytes at all")
	}
	if extension == ".jpg" &&
		!(bytes.HasPrefix(a.body, []byte("\xff\xd8\xff")) && bytes.HasSuffix(a.body, []byte("\xff\xd9"))) {
		return failed(kindPicture, "%d bytes that do not begin and end as a JPEG does", len(a.body))
	}
	return nil
}
