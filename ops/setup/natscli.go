package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	err := makeOnce(BinDir(), func() bool { return found(path) }, func() error { return buildNATSCLI(ctx, path, out) })
	if err != nil {
		return "", fmt.Errorf("build the NATS CLI: %w", err)
	}
	return path, nil
}

func buildNATSCLI(ctx context.Context, path string, out io.Writer) error {
	root, err := sourceRoot(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "building the NATS CLI %s (a minute or two, once)\n", natsCLIVersion)
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags",
		"-s -w -X main.version="+strings.TrimPrefix(natsCLIVersion, "v"), "-o", path+".making", natsCLIPackage)
	cmd.Dir = filepath.Join(root, "ops", "tools")
	// GOFLAGS may ask for the race detector, which is for our code, not for a tool.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return os.Rename(path+".making", path)
}

func found(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// sourceRoot is the folder of the project's go.mod, from wherever inside the source we are called.
func sourceRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the source: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	data, err := os.ReadFile(mod)
	if err != nil || !strings.HasPrefix(string(data), "module flickrkillr\n") {
		return "", errors.New("it is built from the project's source: run this from there")
	}
	return filepath.Dir(mod), nil
}
