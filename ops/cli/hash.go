package cli

import (
	"io"
	"os/exec"

	"flickrkillr/renderer/password"
)

// hashCommand hashes the passwords that a renderer sends it. It ends when its input does, so with the renderer, and not
// by a signal that both get: the renderer finishes its requests first.
type hashCommand struct{}

func (*hashCommand) Run(s *session) error { return password.Serve(s.stdin, s.stdout) }

// hashProcess is a process of program that hashes. Its environment has nothing of this one's, which may have secrets.
func hashProcess(program string, stderr io.Writer) *exec.Cmd {
	cmd := exec.Command(program, "hash")
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=10"} // each hash leaves 19 MiB of garbage
	cmd.Stderr = stderr
	return cmd
}
