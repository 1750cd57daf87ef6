package setup

import (
	"context"
	"io"
	"path/filepath"
	"strings"
)

// The NATS CLI that tests and people look inside with. ops/tools/go.mod pins the same version; a test compares them.
const (
	natsCLIPackage = "github.com/nats-io/natscli/nats"
	natsCLIVersion = "v0.5.0"
)

// BinDir is where the NATS CLI is, or will be: a folder named for its version in the user's cache.
func BinDir() string { return cacheDir("natscli-" + natsCLIVersion) }

// NATSCLI returns the path of the pinned NATS CLI and builds it if it is not there, which takes a minute or two from
// nothing. Only one process builds; the others wait for it. The build needs the project's source: out is told what is
// going on.
func NATSCLI(ctx context.Context, out io.Writer) (string, error) {
	path := filepath.Join(BinDir(), "nats")
	return path, buildOnce(ctx, out, tool{
		name: "NATS CLI " + natsCLIVersion, path: path, module: "ops/tools", pkg: natsCLIPackage,
		flags: "-X main.version=" + strings.TrimPrefix(natsCLIVersion, "v"),
	})
}
