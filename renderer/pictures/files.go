package pictures

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Files is all that a place for pictures does: it keeps files, and pieces of those that are on their way. Dir and
// Bucket are its two implementations. What differs between them ends here: all that is decided about pictures, and all
// that is known of them, is above.
//
// List gives the files behind a name, "" for all, in the order of their names. An error ends it. What is put or deleted
// meanwhile may be missing.
type Files interface {
	Store
	Staging
	List(ctx context.Context, after string) iter.Seq2[File, error]
	io.Closer
}

// OpenFiles opens a directory, or a bucket, whose location is
//
//	s3://BUCKET/PREFIX?endpoint=https://HOST&region=R&path-style=true&ca=FILE&credentials=FILE&profile=NAME
//
// PREFIX and all parameters may be missing. endpoint: the server, else that of Amazon. path-style: true, the default
// where an endpoint is named, says that the bucket stands in the path of requests, false that it stands in the name of
// the host. ca: a file with the certificates (PEM) that sign the server's. credentials: a file with the keys in the
// form of ~/.aws/credentials, with the part that is called profile; else they are in the environment, in
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
func OpenFiles(location string) (Files, error) {
	if InBucket(location) {
		return OpenBucket(location)
	}
	return OpenDir(location)
}

// OpenMoving opens a place, and with it the one that pictures move from or to, unless also is "", see [Both].
func OpenMoving(location, also string) (Files, error) {
	first, err := OpenFiles(location)
	if err != nil || also == "" {
		return first, err
	}
	second, err := OpenFiles(also)
	if err != nil {
		return nil, errors.Join(err, first.Close())
	}
	return OpenBoth(first, second), nil
}
