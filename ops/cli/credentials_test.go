package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

// TestCredentials: a flag that neither the command line nor the environment has comes from a credential of systemd.
func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, value := range map[string]string{
		"killr_log-level": "loud\n", "killr_nats-seed": "no seed", "nats-ca": "not ours",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		env, args []string
		says      string
	}{
		"what is in the file":  {nil, nil, `--log-level must be one of "debug","info","warn","error" but got "loud"`},
		"the environment wins": {[]string{"KILLR_LOG_LEVEL=quiet"}, nil, `got "quiet"`},
		"a flag wins":          {nil, []string{"--log-level", "shrill"}, `got "shrill"`},
		"the path of the file": {[]string{"KILLR_LOG_LEVEL=info"}, nil, filepath.Join(dir, "killr_nats-seed")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := append(c.env, "CREDENTIALS_DIRECTORY="+dir)
			args := append(c.args, "cachefill", "--nats", "nats://127.0.0.1:1", "--memcached", "127.0.0.1:1")
			p := testenv.StartProcess(t, env, args...)
			if status := p.Wait(t); status == 0 || !strings.Contains(p.Stderr.String(), c.says) {
				t.Errorf("status %d: %s; want %s", status, p.Stderr, c.says)
			}
		})
	}
}
