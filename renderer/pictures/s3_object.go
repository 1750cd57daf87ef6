package pictures

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"time"

	"github.com/minio/minio-go/v7"
)

// object is an object that is open for reading, an [fs.File] that can also be read at any place. What is read at places
// belongs to one object: if it is replaced meanwhile, reading fails.
type object struct {
	bucket *Bucket
	ctx    context.Context // of who opened it, and reads
	info   minio.ObjectInfo
	body   io.Reader // of the object as a whole, once somebody has begun to read it
	close  func() error
}

// openLarge opens an object without fetching it.
func (b *Bucket) openLarge(ctx context.Context, key string) (*object, error) {
	o := &object{bucket: b, ctx: ctx}
	err := b.do(ctx, askLimit, func(ctx context.Context) (err error) {
		o.info, err = b.client.StatObject(ctx, b.name, b.prefix+key, minio.StatObjectOptions{})
		if isMissing(err) { // that is also said of a bucket that is missing, which is another trouble
			if missing := b.exists(ctx); missing != nil {
				return missing
			}
		}
		return sized(o.info, math.MaxInt64, err)
	})
	return o, err
}

// openSmall fetches an object.
func (b *Bucket) openSmall(ctx context.Context, key string) (*object, error) {
	data, info, err := b.fetch(ctx, key, MaxBytes)
	return &object{bucket: b, ctx: ctx, info: info, body: bytes.NewReader(data)}, err
}

// fetch reads a whole object of at most limit bytes, which are few.
func (b *Bucket) fetch(ctx context.Context, key string, limit int64) (data []byte, info minio.ObjectInfo, err error) {
	err = b.do(ctx, askLimit, func(ctx context.Context) error {
		body, about, _, err := b.core().GetObject(ctx, b.name, b.prefix+key, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer body.Close()
		if err := sized(about, limit, nil); err != nil {
			return err
		}
		info, data = about, make([]byte, about.Size)
		_, err = io.ReadFull(body, data)
		return err
	})
	return data, info, err
}

// sized is err, or [errSize] unless the server says how many bytes an object has, and these are at most limit.
func sized(o minio.ObjectInfo, limit int64, err error) error {
	switch {
	case err != nil:
		return err
	case o.Size < 0:
		return fmt.Errorf("%w: the server, or what is before it, does not say the length of %s", errSize, o.Key)
	case o.Size > limit:
		return fmt.Errorf("%w: %s has %d bytes, more than %d", errSize, o.Key, o.Size, limit)
	}
	return nil
}

// core is the client with requests as they are.
func (b *Bucket) core() minio.Core { return minio.Core{Client: b.client} }

// Stat implements fs.File.
func (o *object) Stat() (fs.FileInfo, error) { return objectInfo{o.info}, nil }

// Read implements fs.File. The first one begins to fetch the object.
func (o *object) Read(p []byte) (int, error) {
	if o.body == nil {
		if err := o.begin(); err != nil {
			return 0, err
		}
	}
	n, err := o.body.Read(p)
	if err != nil && err != io.EOF {
		err = o.bucket.translate(o.ctx, err)
	}
	return n, err
}

func (o *object) begin() error {
	limited, cancel := context.WithTimeout(o.ctx, moveLimit)
	o.close = func() error { cancel(); return nil }
	return o.bucket.do(limited, moveLimit, func(context.Context) error { // whose context ends before the body does
		body, info, _, err := o.bucket.core().GetObject(limited, o.bucket.name, o.info.Key, minio.GetObjectOptions{})
		if err == nil {
			o.close = func() error { defer cancel(); return body.Close() }
		}
		if err = sized(info, math.MaxInt64, err); err == nil {
			o.body, o.info = body, info
		}
		return err
	})
}

// ReadAt implements io.ReaderAt, by a request of its own.
func (o *object) ReadAt(p []byte, offset int64) (n int, err error) {
	wanted := p[:max(0, min(int64(len(p)), o.info.Size-offset))]
	if len(wanted) > 0 {
		var opts minio.GetObjectOptions
		if err := opts.SetMatchETag(o.info.ETag); err != nil {
			return 0, err
		}
		if err := opts.SetRange(offset, offset+int64(len(wanted))-1); err != nil {
			return 0, err
		}
		err = o.bucket.do(o.ctx, moveLimit, func(ctx context.Context) error {
			body, _, _, err := o.bucket.core().GetObject(ctx, o.bucket.name, o.info.Key, opts)
			if err != nil {
				return err
			}
			defer body.Close()
			n, err = io.ReadFull(body, wanted)
			return err
		})
	}
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Close implements fs.File.
func (o *object) Close() error {
	if o.close != nil {
		return o.close()
	}
	return nil
}

// objectInfo is an fs.FileInfo.
type objectInfo struct{ of minio.ObjectInfo }

func (i objectInfo) Name() string       { return path.Base(i.of.Key) }
func (i objectInfo) Size() int64        { return i.of.Size }
func (i objectInfo) Mode() fs.FileMode  { return fileMode }
func (i objectInfo) ModTime() time.Time { return i.of.LastModified }
func (i objectInfo) IsDir() bool        { return false }
func (i objectInfo) Sys() any           { return nil }
