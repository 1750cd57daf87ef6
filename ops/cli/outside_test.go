package cli

import (
	"bytes"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/password"
	"flickrkillr/renderer/pictures"
)

// TestWorkOutside: passwords are hashed by a process of this program, and pictures decoded by another one. Both end
// when they are told to.
func TestWorkOutside(t *testing.T) { //nolint:paralleltest // it is about all hashes and pictures of this process
	works := func(as string) bool {
		tree, err := cputime.Tree(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(tree, func(p cputime.Process) bool {
			return len(p.Args) == 2 && p.Args[1] == as
		})
	}
	said := testenv.NewOutput()
	s := &session{log: slog.New(slog.NewTextHandler(said, nil)), stderr: said}
	end, err := s.workOutside(0, time.Hour) // on a busy machine a process takes long to start
	if err != nil {
		t.Fatal(err)
	}
	if env := hashProcess("killr", said).Env; !slices.Equal(env, []string{"GOMAXPROCS=1", "GOGC=10"}) {
		t.Errorf("its environment is %q: it needs no secrets", env)
	}
	if env := pictureProcess("killr", said).Env; !slices.Equal(env,
		[]string{"GOMAXPROCS=1", "GOGC=50", "GOMEMLIMIT=600MiB"}) {
		t.Errorf("the environment of one that decodes is %q", env)
	}
	before := password.Hash("mountain lake", "ansel k1")
	if !works("hash") { // one that failed would have ended
		t.Errorf("no process hashes, or it does not well: %s", said)
	}
	made := derivative(t)
	if !works("picture") {
		t.Errorf("no process decodes, or it does not well: %s", said)
	}
	end()
	if works("hash") || works("picture") {
		t.Error("a process has not ended")
	}
	if password.Hash("mountain lake", "ansel k1") != before {
		t.Error("a process of its own makes another hash")
	}
	if !bytes.Equal(derivative(t), made) {
		t.Error("a process of its own makes another picture")
	}
}

// derivative makes a derivative of a picture of a megapixel.
func derivative(t *testing.T) []byte {
	t.Helper()
	var original bytes.Buffer
	if err := jpeg.Encode(&original, image.NewYCbCr(image.Rect(0, 0, 1200, 900), image.YCbCrSubsampleRatio420),
		nil); err != nil {
		t.Fatal(err)
	}
	dir, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	id := pictures.ID(original.Bytes())
	if err := dir.Put(t.Context(), id, &original); err != nil {
		t.Fatal(err)
	}
	jpeg, err := pictures.Derive(t.Context(), dir, id, 640)
	if err != nil {
		t.Fatal(err)
	}
	return jpeg
}
