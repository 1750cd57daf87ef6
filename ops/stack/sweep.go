package stack

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// sweeper is a process that removes a directory when the program that started it ends, also by kill -9. Services that
// are ending may still write there, so it tries for some seconds.
type sweeper struct {
	process *exec.Cmd
	input   io.Closer // it ends with the program
}

const sweepScript = `read -r _
try=0
while [ -e "$1" ] && [ $try -lt 100 ]; do
	rm -rf -- "$1"
	try=$((try + 1))
	if [ -e "$1" ]; then sleep 0.1; fi
done`

func startSweeper(dir string) (*sweeper, error) {
	w := &sweeper{process: exec.Command("sh", "-c", sweepScript, "sh", dir)}
	w.process.Dir = "/"
	w.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no Ctrl-C ends it
	input, err := w.process.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	w.input = input
	if err := w.process.Start(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return w, nil
}

// stop removes the directory, and returns when it is gone.
func (w *sweeper) stop() error {
	_ = w.input.Close()
	return w.process.Wait()
}
