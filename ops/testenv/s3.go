package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"flickrkillr/ops/setup"
	"flickrkillr/ops/stack"
)

// S3 is a running S3 server. Its methods may not be called concurrently with one another.
type S3 struct {
	*stack.S3

	home    *home
	output  *Output
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
	program, err := setup.S3Server(ctx, t.Output())
	if err != nil {
		return nil, err
	}
	s = &S3{output: NewOutput()}
	if s.home, err = newHome(); err != nil {
		return nil, err
	}
	if s.S3, err = stack.StartS3(ctx, program, s.home.dir, s.output); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", err, s.output), s.home.remove())
	}
	return s, nil
}

// Bucket makes a bucket, and returns its location.
func (s *S3) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if err := s.MakeBucket(name); err != nil {
		t.Fatal(err)
	}
	return s.Location(name, s.Addr())
}

// S3Behind is a location whose requests go to what before makes of the way to the server.
func S3Behind(t testing.TB, location string, before func(pass http.Handler) http.Handler) string {
	t.Helper()
	at, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query := at.Query()
	server, err := url.Parse(query.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(before(stack.PassS3(server.Host)))
	t.Cleanup(front.Close)
	query.Set("endpoint", front.URL)
	at.RawQuery = query.Encode()
	return at.String()
}

func (s *S3) end() error { return errors.Join(s.Kill(), s.home.remove()) }

func endSharedS3() error {
	if sharedS3.server == nil {
		return nil
	}
	return sharedS3.server.end()
}
