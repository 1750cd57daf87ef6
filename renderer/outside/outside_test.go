package outside_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"flickrkillr/renderer/outside"
)

// TestPanics: a process whose answer was not read to its end, because the reader panicked, is asked nothing more.
func TestPanics(t *testing.T) {
	t.Parallel()
	all := outside.New(1, func() *exec.Cmd { return exec.Command("cat") }, 0)
	defer all.End()
	func() {
		defer func() {
			if r := recover(); r != "no disk" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = all.Ask(t.Context(), func(p *outside.Process) error {
			if err := errors.Join(p.Encode("the first picture"), p.Encode("the first picture, wider")); err != nil {
				t.Error(err)
			}
			panic("no disk")
		})
	}()
	err := all.Ask(t.Context(), func(p *outside.Process) error {
		var said string
		if err := errors.Join(p.Encode("the second picture"), p.Decode(&said)); err != nil {
			return err
		}
		if !p.New || !strings.Contains(said, "second") {
			t.Errorf("new: %t, it answers with %q", p.New, said)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
