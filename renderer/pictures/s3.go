package pictures

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/minio/minio-go/v7"
)

// Bucket is a [Files] in a bucket of an S3 server. An object has the name that a [Dir] gives the file: "ab/abcd...".
//
// Each file is put by one request, so that the server has all of it or nothing, and no upload in parts is left behind.
// Nothing is renamed and nothing is locked. The bucket should have no versioning: with it the server keeps what is
// deleted, see [Bucket.Check].
//
// Several goroutines and several processes may use a bucket at once.
type Bucket struct {
	client    *minio.Client
	once      *minio.Client // that repeats no request
	transport *http.Transport
	name      string
	prefix    string // of all keys; "", or it ends in a slash
	breaker   circuitbreaker.CircuitBreaker[any]
	failure   atomic.Value // the last one that counts, a failure
	outage    atomic.Value // a func(away bool, why error), see OnOutage
}

// Bounds of one request, its repetition included.
const (
	askLimit  = 5 * time.Second  // of one that carries nothing, or a small file
	moveLimit = 20 * time.Second // of one with an original or a long list; less than the 30 s of unfinished uploads

	bucketTries  = 2           // of a request that the server did not get, or could not answer
	breakerAfter = 5           // failures in a row; then nothing is sent
	breakerPause = time.Second // for this long
)

// OpenBucket opens the store at a location of the form that [OpenFiles] describes. It sends nothing, so it works while
// the server is away.
func OpenBucket(location string) (*Bucket, error) {
	at, err := parseS3(location)
	if err != nil {
		return nil, err
	}
	transport, err := at.transport()
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupAuto
	if at.pathStyle {
		lookup = minio.BucketLookupPath
	}
	b := &Bucket{transport: transport, name: at.bucket, prefix: at.prefix}
	options := minio.Options{Creds: at.credentials(), Secure: at.secure, Region: at.region, BucketLookup: lookup,
		Transport: transport, MaxRetries: bucketTries}
	if b.client, err = minio.New(at.host, &options); err == nil {
		options.MaxRetries = 1
		b.once, err = minio.New(at.host, &options)
	}
	if err != nil {
		return nil, fmt.Errorf("pictures: open bucket %s: %w", at.bucket, err)
	}
	b.breaker = circuitbreaker.NewBuilder[any]().WithFailureThreshold(breakerAfter).WithDelay(breakerPause).
		OnStateChanged(b.tell).Build()
	return b, nil
}

// Close releases the connections.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// Put implements Store. A server without room is errors.Is(err, syscall.ENOSPC).
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	if !validName(name) {
		return ErrBadID
	}
	data, err := seekable(ctx, r)
	if err == nil {
		err = b.put(ctx, fileName(name), data, nil)
	}
	if err != nil {
		return fmt.Errorf("pictures: put %s: %w", name, err)
	}
	return nil
}

// inMemory is a file that is there as a whole, and can be read again when a request is repeated.
type inMemory interface {
	io.ReadSeeker
	io.ReaderAt
	Len() int
}

// seekable reads r to its end, unless it is in memory already.
func seekable(ctx context.Context, r io.Reader) (inMemory, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if data, ok := r.(inMemory); ok {
		return data, nil
	}
	data, err := io.ReadAll(io.LimitReader(&contextReader{ctx: ctx, r: r}, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = refuseBytes(MaxFile)
	}
	return bytes.NewReader(data), err
}

// put stores an object, with what is noted beside it.
func (b *Bucket) put(ctx context.Context, key string, data inMemory, notes map[string]string) error {
	return b.do(ctx, moveLimit, func(ctx context.Context) error {
		_, err := b.client.PutObject(ctx, b.name, b.prefix+key, data, int64(data.Len()), minio.PutObjectOptions{
			DisableMultipart: true, SendContentMd5: true, UserMetadata: notes,
		})
		return err
	})
}

// Open implements Store. Of an original it asks only what there is: bytes are fetched when they are read, within ctx.
// A smaller file is fetched at once.
func (b *Bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if !validName(name) {
		return nil, ErrBadID
	}
	open := b.openSmall
	if ValidID(name) {
		open = b.openLarge
	}
	o, err := open(ctx, fileName(name))
	if err != nil {
		return nil, fmt.Errorf("pictures: open %s: %w", name, err)
	}
	return o, nil
}

// Delete implements Store.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if !validName(name) {
		return ErrBadID
	}
	all := goWith(name)
	err := b.remove(ctx, fileName(name))
	if err == nil && len(all) > 1 {
		err = b.removeAll(ctx, func(yield func(string) bool) {
			for _, name := range all[1:] {
				if !yield(fileName(name)) {
					return
				}
			}
		})
	}
	if err != nil {
		return fmt.Errorf("pictures: delete %s: %w", name, err)
	}
	return nil
}

// Size implements Store.
func (b *Bucket) Size(ctx context.Context, name string) (files int, bytes int64, err error) {
	if !validName(name) {
		return 0, 0, ErrBadID
	}
	all := goWith(name)
	for key, size := range b.list(ctx, askLimit, fileName(name), &err) {
		if slices.Contains(all, path.Base(key)) {
			files, bytes = files+1, bytes+size
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("pictures: measure %s: %w", name, err)
	}
	return files, bytes, nil
}

// Check asks the server whether the bucket is there and may be used. ErrUnavailable: it does not answer now, and may do
// so later. kept reports whether the server keeps what is deleted.
func (b *Bucket) Check(ctx context.Context) (kept bool, err error) {
	err = b.do(ctx, askLimit, func(ctx context.Context) error { return b.exists(ctx) })
	if err != nil {
		return false, fmt.Errorf("pictures: bucket %s: %w", b.name, err)
	}
	_ = b.do(ctx, askLimit, func(ctx context.Context) error { // not every server knows what versions are
		versions, err := b.client.GetBucketVersioning(ctx, b.name)
		kept = err == nil && versions.Enabled()
		return err
	})
	return kept, nil
}

// exists is nil if there is the bucket.
func (b *Bucket) exists(ctx context.Context) error {
	there, err := b.client.BucketExists(ctx, b.name)
	if err == nil && !there {
		err = errNoBucket
	}
	return err
}

// remove deletes an object, if there is one. It asks once: of two requests the first could be done long after the
// answer to the second, when there is such an object again.
func (b *Bucket) remove(ctx context.Context, key string) error {
	err := b.do(ctx, askLimit, func(ctx context.Context) error {
		return b.once.RemoveObject(ctx, b.name, b.prefix+key, minio.RemoveObjectOptions{})
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeAll deletes objects, by one request for each thousand.
func (b *Bucket) removeAll(ctx context.Context, keys iter.Seq[string]) error {
	return b.do(ctx, askLimit, func(ctx context.Context) error {
		results, err := b.once.RemoveObjectsWithIter(ctx, b.name, func(yield func(minio.ObjectInfo) bool) {
			for key := range keys {
				if !yield(minio.ObjectInfo{Key: b.prefix + key}) {
					return
				}
			}
		}, minio.RemoveObjectsOptions{})
		if err != nil {
			return err
		}
		for r := range results { // all of them, or the rest is not deleted
			if r.Err != nil && !isMissing(r.Err) {
				err = r.Err
			}
		}
		if err == nil {
			err = ctx.Err() // then it has not sent all, and says nothing
		}
		return err
	})
}

// list gives the keys that begin with a prefix, in their order, and the bytes of each. Keys that have a slash behind
// the prefix are given up to it, once. When it ends early, err says why.
func (b *Bucket) list(
	ctx context.Context, limit time.Duration, prefix string, err *error,
) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		*err = b.do(ctx, limit, func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix + prefix}) {
				if o.Err != nil {
					return o.Err
				}
				if !yield(strings.TrimPrefix(o.Key, b.prefix), o.Size) {
					return nil
				}
			}
			return ctx.Err()
		})
	}
}
