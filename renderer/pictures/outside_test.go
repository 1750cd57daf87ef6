package pictures_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"flickrkillr/renderer/outside"
	"flickrkillr/renderer/pictures"
)

// servesAs is the environment variable that turns this test program into a process that decodes: "well"; "strange",
// which greets otherwise; "crashing", which ends when it is asked something; "never", which does not answer. Or into
// one of another kind, see servesTime.
const servesAs = "KILLR_TEST_DECODES"

func serve(as string) (status int) {
	encoder := gob.NewEncoder(os.Stdout)
	switch as {
	case servesTime:
		return tellTime(os.Stdout)
	case "well":
		if err := pictures.Serve(os.Stdin, os.Stdout); err != nil {
			return 1
		}
	case "strange":
		_ = encoder.Encode("killr pictures 0")
		_, _ = os.Stdin.Read(make([]byte, 1))
	case "crashing":
		_ = encoder.Encode(pictures.Greeting)
		_, _ = os.Stdin.Read(make([]byte, 1))
		return 2
	case "never":
		_ = encoder.Encode(pictures.Greeting)
		for buf := make([]byte, 1<<16); ; {
			if _, err := os.Stdin.Read(buf); err != nil {
				return 0
			}
		}
	}
	return 0
}

// decoders runs this test program as a process that decodes, and keeps each that was started.
type decoders struct {
	as       string
	begun    func() // called when one is about to start; may be nil
	commands []*exec.Cmd
	failures []error
}

func (d *decoders) outside() (end func()) {
	return pictures.Outside(1, 0, func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), servesAs+"="+d.as)
		d.commands = append(d.commands, cmd)
		if d.begun != nil {
			d.begun()
		}
		return cmd
	}, func(err error) { d.failures = append(d.failures, err) })
}

// developed is what Develop makes of a file that is stored, derivatives included.
func developed(
	t *testing.T, ctx context.Context, data []byte,
) (im pictures.Image, files [][]byte, small int, err error) {
	t.Helper()
	dir, id := openDir(t), pictures.ID(data)
	if err := dir.Put(t.Context(), id, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	im, err = pictures.Develop(ctx, dir, id, func() {
		small++
		for _, width := range []int{320, 640} {
			if ok, err := pictures.IsStored(t.Context(), dir, pictures.DerivativeName(id, width)); !ok || err != nil {
				t.Errorf("small pictures are told of, %d px is not stored: %v", width, err)
			}
		}
	})
	if err == nil {
		for _, width := range []int{320, 640, 1280} {
			files = append(files, readStored(t, dir, pictures.DerivativeName(id, width)))
		}
	}
	return im, files, small, err
}

// TestOutside: another process makes the same derivatives, of several pictures in turn, and says why it refuses one. It
// has a lower priority, and ends when it is told to. Not parallel, as all of these: they are about all pictures of this
// process.
func TestOutside(t *testing.T) { //nolint:paralleltest // see above
	good, damaged := jpegOf(t, landscape(1500, 900)), jpegOf(t, landscape(1500, 901))
	damaged = append(damaged[:len(damaged)/2], "\xff\xd9"...)
	want, wantFiles, _, err := developed(t, t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, wantErr := developed(t, t.Context(), damaged)
	d := &decoders{as: "well"}
	end := d.outside()
	for range 2 {
		im, files, small, err := developed(t, t.Context(), good)
		if err != nil || im != want || small != 1 {
			t.Errorf("%+v, told %d times of small pictures, %v; want %+v", im, small, err, want)
		}
		for i, file := range files {
			if !bytes.Equal(file, wantFiles[i]) {
				t.Errorf("derivative %d is another", i)
			}
		}
		_, _, _, err = developed(t, t.Context(), damaged)
		refused, ok := errors.AsType[*pictures.RefusedError](err)
		if !ok || refused.Reason != pictures.Damaged || err.Error() != wantErr.Error() {
			t.Errorf("refused: %v, want %v", err, wantErr)
		}
	}
	if len(d.commands) != 1 || len(d.failures) > 0 {
		t.Fatalf("%d processes, failures %v", len(d.commands), d.failures)
	}
	priority, err := syscall.Getpriority(syscall.PRIO_PROCESS, d.commands[0].Process.Pid)
	// Linux returns 20 less the nice value.
	if runtime.GOOS == "linux" && (err != nil || priority > 20-outside.Nice) {
		t.Errorf("its priority is %d, %v; want %d", priority, err, 20-outside.Nice)
	}
	end()
	if d.commands[0].ProcessState == nil {
		t.Error("the process has not ended")
	}
}

// TestOutsideCrashes: a process that ends while it decodes is told from one that refuses, and another one takes its
// place. This process does not decode what has ended the other.
func TestOutsideCrashes(t *testing.T) { //nolint:paralleltest // see TestOutside
	d := &decoders{as: "crashing"}
	defer d.outside()()
	data := jpegOf(t, landscape(1300, 700))
	for n := range 2 {
		if n == 1 {
			d.as = "well"
		}
		if _, _, _, err := developed(t, t.Context(), data); errors.Is(err, pictures.ErrCrashed) != (n == 0) {
			t.Errorf("try %d: %v", n, err)
		}
	}
	if len(d.commands) != 2 || len(d.failures) > 0 {
		t.Errorf("%d processes, failures %v", len(d.commands), d.failures)
	}
}

// TestOutsideCannotStart: where there is no process that decodes, this one does. It is told once.
func TestOutsideCannotStart(t *testing.T) { //nolint:paralleltest // see TestOutside
	d := &decoders{as: "strange"}
	defer d.outside()()
	for range 2 {
		if _, _, _, err := developed(t, t.Context(), jpegOf(t, landscape(1300, 700))); err != nil {
			t.Error(err)
		}
	}
	if len(d.commands) != 1 || len(d.failures) != 1 || d.commands[0].ProcessState == nil {
		t.Errorf("%d processes, failures %v; want one, that has ended", len(d.commands), d.failures)
	}
}

// TestOutsideIsCut: a process is killed when nobody waits for its picture any more.
func TestOutsideIsCut(t *testing.T) { //nolint:paralleltest // see TestOutside
	left := errors.New("everybody has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	d := &decoders{as: "never", begun: func() { cancel(left) }}
	defer d.outside()()
	dir, data := openDir(t), jpegOf(t, landscape(1300, 700))
	if err := dir.Put(t.Context(), pictures.ID(data), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if _, err := pictures.Derive(ctx, dir, pictures.ID(data), 320); !errors.Is(err, left) {
		t.Errorf("a picture that nobody waits for: %v", err)
	}
	if len(d.failures) > 0 || len(d.commands) != 1 || d.commands[0].ProcessState == nil {
		t.Errorf("%d processes, failures %v; want one, that has ended", len(d.commands), d.failures)
	}
}
