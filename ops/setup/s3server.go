package setup

import (
	"context"
	"io"
	"path/filepath"
)

// The S3 server that tests keep pictures in. ops/tools/s3server/go.mod pins the same version; a test compares them.
const (
	s3ServerPackage = "github.com/versity/versitygw/cmd/versitygw"
	s3ServerVersion = "v1.8.0"
)

// S3Server returns the path of the pinned S3 server, versitygw, and builds it if it is not there, which takes two
// minutes of a processor from nothing. Only one process builds; the others wait for it. The build needs the project's
// source: out is told what is going on.
func S3Server(ctx context.Context, out io.Writer) (string, error) {
	path := filepath.Join(cacheDir("versitygw-"+s3ServerVersion), "versitygw")
	return path, buildOnce(ctx, out, tool{
		name: "S3 server versitygw " + s3ServerVersion, path: path, module: "ops/tools/s3server", pkg: s3ServerPackage,
	})
}
