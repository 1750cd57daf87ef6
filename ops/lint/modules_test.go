package lint

import "testing"

// The requirements are complete and minimal, and the modules on this machine are those that go.sum names.
func TestModules(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"the program": ".", "the tools": "ops/tools"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := command(t, nil, "go", "-C", dir, "mod", "tidy", "-diff"); err != nil {
				t.Errorf("run go -C %s mod tidy: %v\n%s", dir, err, out)
			}
			if out, err := command(t, nil, "go", "-C", dir, "mod", "verify"); err != nil {
				t.Errorf("go -C %s mod verify: %v\n%s", dir, err, out)
			}
		})
	}
}
