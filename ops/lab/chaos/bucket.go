package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/sleep"
)

// bucketName is the bucket that has the pictures of a site.
const bucketName = "photos"

// bucketServer is an S3 server, and a server before it that passes requests on, refuses them, or is slow. What is
// passed on late is done, although nobody may wait for it any more.
type bucketServer struct {
	dir     string
	server  *stack.S3
	pass    *httputil.ReverseProxy
	before  http.Server
	served  chan struct{} // closed when before is
	addr    string        // of before
	refuses atomic.Bool
	slow    atomic.Int64 // ns that each request waits
}

// NeedS3 reports whether some rows need an S3 server.
func NeedS3(rows []Row) bool {
	return slices.ContainsFunc(rows, func(r Row) bool { return r.Setup.Bucket })
}

// WithoutS3 returns the rows that need none.
func WithoutS3(rows []Row) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Setup.Bucket })
}

// startBucket starts the bucket of a setup that has its pictures in one, and returns where renderers find pictures.
func (cfg *Config) startBucket(ctx context.Context, on *scene) (location string, err error) {
	if !on.setup.Bucket {
		return cfg.Pictures, nil
	}
	if cfg.S3Server == "" {
		return "", errors.New("the row needs an S3 server: start it in the source tree")
	}
	b := &bucketServer{served: make(chan struct{})}
	if b.dir, err = os.MkdirTemp(cfg.Stack.Dir(), "bucket-"); err != nil {
		return "", err
	}
	on.bucket = b
	if b.server, err = stack.StartS3(ctx, cfg.S3Server, b.dir, cfg.Output); err != nil {
		return "", err
	}
	if err := os.CopyFS(b.server.BucketDir(bucketName), os.DirFS(cfg.Pictures)); err != nil {
		return "", fmt.Errorf("put pictures into the bucket: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	b.addr = listener.Addr().String()
	b.pass = stack.PassS3(b.server.Addr())
	b.pass.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	b.before = http.Server{Handler: b, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(b.served)
		_ = b.before.Serve(listener) // it is closed by stop
	}()
	return b.server.Location(bucketName, b.addr), nil
}

// ServeHTTP implements http.Handler. A server that is not there breaks connections.
func (b *bucketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.refuses.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if late := time.Duration(b.slow.Load()); late > 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		// Its end would be that of the client, if it had none: ReverseProxy asks CloseNotifier then.
		whole, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		r = r.Clone(whole)
		r.Body = io.NopCloser(bytes.NewReader(body))
		time.Sleep(late)
	}
	b.pass.ServeHTTP(w, r)
}

// stop ends it, and removes what it has.
func (b *bucketServer) stop() (err error) {
	if b.addr != "" {
		err = b.before.Close()
		<-b.served
	}
	if b.server != nil {
		err = errors.Join(err, b.server.Kill())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// bucketGone kills the server of the bucket, and starts it again.
func bucketGone(ctx context.Context, s *scene, _ int, hold time.Duration) error {
	return s.bucket.server.Outage(ctx, hold)
}

// bucketRefuses has the server of the bucket answer 503.
func bucketRefuses(ctx context.Context, s *scene, _ int, hold time.Duration) error {
	s.bucket.refuses.Store(true)
	defer s.bucket.refuses.Store(false)
	sleep.For(ctx, hold)
	return nil
}

// bucketSlow has the server of the bucket take a second longer for each request.
func bucketSlow(ctx context.Context, s *scene, _ int, hold time.Duration) error {
	s.bucket.slow.Store(int64(time.Second))
	defer s.bucket.slow.Store(0)
	sleep.For(ctx, hold)
	return nil
}

// files are the objects of the bucket, by name.
func (b *bucketServer) files() fs.FS { return os.DirFS(b.server.BucketDir(bucketName)) }
