package cli

import (
	"bytes"
	"log/slog"
	"os"
	"slices"
	"testing"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/renderer/password"
)

// TestHashOutside: passwords are hashed by a process of this program, which ends when it is told to.
func TestHashOutside(t *testing.T) { //nolint:paralleltest // it is about all hashes of this process
	hashing := func() bool {
		tree, err := cputime.Tree(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(tree, func(p cputime.Process) bool {
			return len(p.Args) == 2 && p.Args[1] == "hash"
		})
	}
	var said bytes.Buffer
	s := &session{log: slog.New(slog.NewTextHandler(&said, nil)), stderr: &said}
	end, err := s.hashOutside()
	if err != nil {
		t.Fatal(err)
	}
	if env := hashProcess("killr", &said).Env; !slices.Equal(env, []string{"GOMAXPROCS=1", "GOGC=10"}) {
		t.Errorf("its environment is %q: it needs no secrets", env)
	}
	before := password.Hash("mountain lake", "ansel k1")
	if !hashing() { // one that failed would have ended
		t.Errorf("no process hashes, or it does not well: %s", &said)
	}
	end()
	if hashing() {
		t.Error("the process that hashes has not ended")
	}
	if password.Hash("mountain lake", "ansel k1") != before {
		t.Error("a process of its own makes another hash")
	}
}
