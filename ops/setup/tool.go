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

// tool is a program that is built from modules of others.
type tool struct {
	name   string // with its version
	path   string // where it belongs
	module string // folder of the go.mod that pins it
	pkg    string
	flags  string // for the linker
}

// buildOnce builds a tool that is not there. Only one process builds; the others wait for it. The build needs the
// project's source: out is told what is going on.
func buildOnce(ctx context.Context, out io.Writer, t tool) error {
	there := func() bool { return found(t.path) }
	err := makeOnce(filepath.Dir(t.path), there, func() error { return t.build(ctx, out) })
	if err != nil {
		return fmt.Errorf("build the %s: %w", t.name, err)
	}
	return nil
}

func (t *tool) build(ctx context.Context, out io.Writer) error {
	root, err := sourceRoot(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "building the %s (a minute or two, once)\n", t.name)
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", strings.TrimSpace("-s -w "+t.flags),
		"-o", t.path+".making", t.pkg)
	cmd.Dir = filepath.Join(root, filepath.FromSlash(t.module))
	// GOFLAGS may ask for the race detector, which is for our code, not for a tool.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return os.Rename(t.path+".making", t.path)
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
