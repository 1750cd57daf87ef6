package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

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

// hashOutside has the renderers of this process hash passwords in processes of their own, until end. They occupy half
// of the machine's processors at most.
func (s *session) hashOutside() (end func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("hash passwords in processes of their own: %w", err)
	}
	command := func() *exec.Cmd { return hashProcess(program, s.stderr) }
	failed := func(err error) { s.log.Warn("passwords are hashed by the renderer itself for now", "err", err) }
	return password.Outside(max(1, runtime.NumCPU()/2), command, failed), nil
}
