package cli

import (
	"io"
	"os/exec"
	"syscall"

	"flickrkillr/renderer/pictures"
)

// pictureCommand decodes the pictures that a renderer sends it. It ends when its input does, as [hashCommand] does.
type pictureCommand struct{}

// pictureBytes is how much memory a process that decodes may have: a picture of the most pixels takes 480 MB, and twice
// as much before it is collected. One that needs more ends the process.
const pictureBytes = 1 << 30

func (*pictureCommand) Run(s *session) error {
	// It fails where the limit is lower already.
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: pictureBytes, Max: pictureBytes})
	return pictures.Serve(s.stdin, s.stdout)
}

// pictureProcess is a process of program that decodes. Its environment has nothing of this one's, as that of
// [hashProcess]. Beyond 600 MiB it collects what it can.
func pictureProcess(program string, stderr io.Writer) *exec.Cmd {
	cmd := exec.Command(program, "picture")
	cmd.Env = []string{"GOMAXPROCS=1", "GOGC=50", "GOMEMLIMIT=600MiB"}
	cmd.Stderr = stderr
	return cmd
}
