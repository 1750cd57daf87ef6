package testenv

import (
	"errors"
	"os/exec"
	"testing"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"success":             {nil, 0},
		"failure":             {exec.Command("sh", "-c", "exit 7").Run(), 7},
		"a signal":            {exec.Command("sh", "-c", "kill -9 $$").Run(), -1},
		"output not readable": {errors.New("read |0: file already closed"), -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := exitStatus(c.err); got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
		})
	}
}
