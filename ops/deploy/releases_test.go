//go:build linux

package deploy_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/lab/mutant"
)

// hashOf is the name of a release.
func hashOf(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}

// release makes another release of the program: other bytes, which it does not read.
func (o *operator) release(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(o.program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.dir, name)
	if err := os.WriteFile(path, append(text, name...), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// all wants all that hosts run to be of a release.
func (o *operator) all(t testing.TB, release string, hosts ...*fleet.Machine) {
	t.Helper()
	for _, m := range hosts {
		got := o.runs(m)
		wrong := func(line string) bool { return !strings.HasSuffix(line, ":"+hashOf(t, release)) }
		if len(got) < 2 || slices.ContainsFunc(got, wrong) {
			t.Errorf("%s runs %v, want all of %s", m.Name, got, hashOf(t, release))
		}
	}
}

// withoutSeeds runs a command as on another machine, which has site.toml alone.
func (o *operator) withoutSeeds(t testing.TB, args ...string) string {
	t.Helper()
	seeds, away := filepath.Join(o.dir, "nkeys"), filepath.Join(o.dir, "elsewhere")
	if err := os.Rename(seeds, away); err != nil {
		t.Fatal(err)
	}
	out, _ := o.killr(t, o.program, args...)
	if err := os.Rename(away, seeds); err != nil {
		t.Error(err)
	}
	return out
}

// populate gives people pages.
func (o *operator) populate(t testing.TB) {
	t.Helper()
	conn := o.connect(t)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err := conn.Exec(t.Context(), `INSERT INTO users (name, display_name)
		SELECT 'u' || n, 'U ' || n FROM generate_series(0, $1::int - 1) n`, people)
	if err != nil {
		t.Fatal(err)
	}
}

// mistake is one that renderers of the program make when their environment says so: they answer nearly all with errors.
const mistake = "answers errors"

// build builds the program, which can make a mistake.
func (o *operator) build(t testing.TB) {
	t.Helper()
	root, err := mutant.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const from = "	return parsed{ref: ref, limit: wire.Deadline(ref)}, nil\n"
	fails := "	if " + mutant.Chosen(mistake) + " {\n		return parsed{ref: ref}, wire.ErrInternal\n	}\n"
	o.program, err = mutant.Build(t.Context(), root, o.dir, []mutant.Edit{
		mutant.Replace("renderer/receive.go", from, fails+from),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// renderersThat makes a release that is another one, which hosts have, but for its renderers: they run a line of the
// shell first.
func (o *operator) renderersThat(t testing.TB, other, do string) string {
	t.Helper()
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = renderer ]; then %s; fi
exec /opt/killr/releases/%s/killr "$@"
`, do, hashOf(t, other))
	path := filepath.Join(o.dir, hashOf(t, other)+fmt.Sprint(len(do)))
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// killed kills a deployment of a release when it has replaced its first instance.
func (o *operator) killed(t testing.TB, release string) {
	t.Helper()
	cmd := o.command(t, "deploy", "--site", o.site(), "--binary", release, "--watch", "0s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "start killr-renderer") {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the deployment ended before it was killed")
	}
}
