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

	"github.com/jackc/pgx/v5"

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

// populate gives people pages.
func (o *operator) populate(t testing.TB) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), o.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO users (name, display_name)
		SELECT 'u' || n, 'U ' || n FROM generate_series(0, $1::int - 1) n`, people)
	if err != nil {
		t.Fatal(err)
	}
}

// broken is a release whose renderers answer nearly all with an error.
func (o *operator) broken(t testing.TB) string {
	t.Helper()
	root, err := mutant.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(o.dir, "broken")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := mutant.Build(t.Context(), root, dir, []mutant.Edit{mutant.Replace("renderer/receive.go",
		"	return parsed{ref: ref, limit: wire.Deadline(ref)}, nil\n",
		"	return parsed{ref: ref}, fmt.Errorf(\"%w: broken\", wire.ErrInternal)\n")})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// silent is a release whose renderers end at once. In all else it is another release, which hosts have.
func (o *operator) silent(t testing.TB, other string) string {
	t.Helper()
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = renderer ]; then echo "no renderer today" >&2; exit 1; fi
exec /opt/killr/releases/%s/killr "$@"
`, hashOf(t, other))
	path := filepath.Join(o.dir, "silent")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// killed kills a deployment of a release when it has replaced its first instance.
func (o *operator) killed(t testing.TB, release string) {
	t.Helper()
	cmd := o.fleet.Command(t.Context(), o.program, "deploy", "--site", o.site(), "--binary", release, "--watch", "0s")
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
