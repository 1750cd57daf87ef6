package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
)

// The keys of S3 servers in tests.
const (
	s3Access = "killr-test"
	s3Secret = "killr-test-secret"
)

// S3 is a running S3 server. Its methods may not be called concurrently with one another.
type S3 struct {
	home    *home
	path    string // of the program
	addr    string
	output  *Output
	child   *stack.Child
	buckets atomic.Int64
}

// sharedS3 is the server of a package's tests that do not stop theirs.
var sharedS3 struct {
	once   sync.Once
	server *S3
	err    error
}

// S3Bucket makes a bucket for this test, on a server that all tests of a package share, and returns its location, as
// --pictures takes it.
func S3Bucket(t testing.TB) string {
	t.Helper()
	sharedS3.once.Do(func() { sharedS3.server, sharedS3.err = startS3(t.Context(), t) })
	if sharedS3.err != nil {
		t.Fatal(sharedS3.err)
	}
	return sharedS3.server.Bucket(t)
}

// NewS3 starts an S3 server for this test alone, for tests that stop, kill or freeze it.
func NewS3(t testing.TB) *S3 {
	t.Helper()
	s, err := startS3(t.Context(), t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the S3 server wrote: %s", s.output)
		}
	})
	return s
}

func startS3(ctx context.Context, t testing.TB) (s *S3, err error) {
	s = &S3{output: NewOutput()}
	if s.path, err = setup.S3Server(ctx, t.Output()); err != nil {
		return nil, err
	}
	if s.home, err = newHome(); err != nil {
		return nil, err
	}
	for _, folder := range []string{"buckets", "notes", "accounts"} {
		if err := os.Mkdir(filepath.Join(s.home.dir, folder), 0o755); err != nil {
			return nil, errors.Join(err, s.home.remove())
		}
	}
	if s.addr, err = stack.ResolvePort("127.0.0.1:0"); err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.home.remove())
	}
	return s, nil
}

// start starts the server, and returns once it answers.
func (s *S3) start(ctx context.Context) (err error) {
	cmd := exec.Command(s.path, "--port", s.addr, "--health", "/health", "--quiet",
		"--iam-dir", filepath.Join(s.home.dir, "accounts"),
		"posix", "--sidecar", filepath.Join(s.home.dir, "notes"), filepath.Join(s.home.dir, "buckets"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s3Access, "ROOT_SECRET_ACCESS_KEY="+s3Secret)
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if s.child, err = stack.StartChild(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
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
			return fmt.Errorf("the S3 server ended while starting: %w: %s", s.child.Err(), s.output)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the S3 server does not answer: %w", err), s.Kill())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Bucket makes a bucket, and returns its location. The keys are in a file, so that servers and tests may run at once.
func (s *S3) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if err := os.Mkdir(s.BucketDir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "s3-keys")
	text := "[default]\naws_access_key_id = " + s3Access + "\naws_secret_access_key = " + s3Secret + "\n"
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "s3://" + name + "?" + url.Values{
		"endpoint": {"http://" + s.addr}, "region": {"us-east-1"}, "credentials": {keys},
	}.Encode()
}

// BucketDir is the folder in which the server has the objects of a bucket, each in a file of its name.
func (s *S3) BucketDir(bucket string) string { return filepath.Join(s.home.dir, "buckets", bucket) }

// Addr is host:port.
func (s *S3) Addr() string { return s.addr }

// Kill ends the server as a crash does, and waits for it.
func (s *S3) Kill() error {
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

// Freeze suspends the server: it keeps its connections and does not answer, until Thaw.
func (s *S3) Freeze() error { return s.child.Signal(syscall.SIGSTOP) }

// Thaw resumes a frozen server.
func (s *S3) Thaw() error { return s.child.Signal(syscall.SIGCONT) }

func (s *S3) end() error { return errors.Join(s.Kill(), s.home.remove()) }

func endSharedS3() error {
	if sharedS3.server == nil {
		return nil
	}
	return sharedS3.server.end()
}
