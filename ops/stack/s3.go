package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// The keys of S3 servers.
const (
	s3Access = "killr-test"
	s3Secret = "killr-test-secret"
)

// S3 is an S3 server as a process, for tests and instruments that stop, kill or freeze it. Its methods may not be
// called concurrently with one another.
type S3 struct {
	program string
	dir     string
	addr    string
	output  io.Writer
	child   *Child
}

const (
	s3Start = 30 * time.Second
	s3Ask   = 5 * time.Millisecond // between two questions whether it answers
)

// StartS3 starts the server, versitygw, whose program is at a path, with its files in an empty directory. It returns
// once the server answers.
func StartS3(ctx context.Context, program, dir string, output io.Writer) (*S3, error) {
	s := &S3{program: program, dir: dir, output: output}
	for _, folder := range []string{"buckets", "notes", "accounts"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, fmt.Errorf("start the S3 server: %w", err)
		}
	}
	keys := "[default]\naws_access_key_id = " + s3Access + "\naws_secret_access_key = " + s3Secret + "\n"
	err := os.WriteFile(s.keys(), []byte(keys), 0o600)
	if err == nil {
		s.addr, err = ResolvePort("127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("start the S3 server: %w", err)
	}
	return s, s.start(ctx)
}

// keys is the file with the keys of the server.
func (s *S3) keys() string { return filepath.Join(s.dir, "keys") }

func (s *S3) start(ctx context.Context) error {
	cmd := exec.Command(s.program, "--port", s.addr, "--health", "/health", "--quiet",
		"--iam-dir", filepath.Join(s.dir, "accounts"),
		"posix", "--sidecar", filepath.Join(s.dir, "notes"), filepath.Join(s.dir, "buckets"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s3Access, "ROOT_SECRET_ACCESS_KEY="+s3Secret)
	cmd.Stdout, cmd.Stderr = s.output, s.output
	child, err := StartChild(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	s.child = child
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(ctx, s3Start)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/health", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(req)
		if err == nil {
			if err := answer.Body.Close(); err != nil {
				return err
			}
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.child.Done():
			return fmt.Errorf("the S3 server ended while starting: %w", s.child.Err())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the S3 server does not answer: %w", err), s.Kill())
		case <-time.After(s3Ask):
		}
	}
}

// MakeBucket makes a bucket.
func (s *S3) MakeBucket(name string) error { return os.Mkdir(s.BucketDir(name), 0o755) }

// Location is a bucket as --pictures takes it, for those who reach the server at an address (host:port). The keys are
// in a file, so that servers may run at once.
func (s *S3) Location(bucket, addr string) string {
	return "s3://" + bucket + "?" + url.Values{
		"endpoint": {"http://" + addr}, "region": {"us-east-1"}, "credentials": {s.keys()},
	}.Encode()
}

// PassS3 passes requests to the S3 server at an address (host:port), as they came: the host is part of what is signed.
func PassS3(addr string) *httputil.ReverseProxy {
	to := &url.URL{Scheme: "http", Host: addr}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
}

// BucketDir is the folder in which the server has the objects of a bucket, each in a file of its name.
func (s *S3) BucketDir(bucket string) string { return filepath.Join(s.dir, "buckets", bucket) }

// Addr is host:port.
func (s *S3) Addr() string { return s.addr }

// Kill ends the server as a crash does, and waits for it.
func (s *S3) Kill() error {
	if s.child == nil { // it could not be started
		return nil
	}
	if err := s.child.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.child.Done()
	return nil
}

// Restart starts it again with what it has stored, after killing it if it still runs.
func (s *S3) Restart(ctx context.Context) error {
	if err := s.Kill(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Outage kills it, and starts it again after hold, or when ctx ends.
func (s *S3) Outage(ctx context.Context, hold time.Duration) error {
	if err := s.Kill(); err != nil {
		return err
	}
	sleep.For(ctx, hold)
	return s.start(context.WithoutCancel(ctx))
}

// Freeze suspends the server: it keeps its connections and does not answer, until Thaw.
func (s *S3) Freeze() error { return s.child.Signal(syscall.SIGSTOP) }

// Thaw resumes a frozen server.
func (s *S3) Thaw() error { return s.child.Signal(syscall.SIGCONT) }
