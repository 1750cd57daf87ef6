package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// runInstrument runs an instrument of killr, of this build or of a mutant, on a site of its own, with env added to its
// environment. It reads what the instrument prints as JSON into result, and returns its exit status. The instrument is
// interrupted, as by Ctrl-C, when its log contains the text until; "": never. It may leave nothing behind.
func runInstrument(t *testing.T, result any, env []string, until, path string, args ...string) int {
	t.Helper()
	temp := testenv.DataDir(t) // removed even if the program does not do so
	if err := os.MkdirAll(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(append(os.Environ(), "TMPDIR="+temp, "KILLR_DATA="+filepath.Join(temp, "unused")), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	var out bytes.Buffer
	logs := heard{text: until, call: cancel}
	cmd.Stdout, cmd.Stderr = &out, &logs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
		t.Fatalf("killr %s: %v\n%s", args[0], err, logs.all.String())
	}
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		t.Fatalf("killr %s: %v, %v\n%s\n%s", args[0], cmd.ProcessState, err, out.String(), logs.all.String())
	}
	if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	return cmd.ProcessState.ExitCode()
}

// heard is a log, and a function to call when it contains a text.
type heard struct {
	all  bytes.Buffer
	text string
	call func()
}

func (h *heard) Write(p []byte) (int, error) {
	h.all.Write(p)
	if h.text != "" && bytes.Contains(h.all.Bytes(), []byte(h.text)) {
		h.call()
	}
	return len(p), nil
}
