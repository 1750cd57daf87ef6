package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// onHangup calls reload at each SIGHUP from now on, until stop. When the terminal that the command was started at is
// closed, SIGHUP ends the command, as it ends every other one.
func (s *session) onHangup(reload func()) (stop func()) {
	ends := !signal.Ignored(syscall.SIGHUP) && hasTerminal() // nohup ignores it
	hangups := make(chan os.Signal, 1)
	signal.Reset(syscall.SIGHUP) // main ends the program at a SIGHUP
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(s.ctx)
	s.ctx = ctx
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if ends && !hasTerminal() {
				cancel()
				return
			}
			reload()
		}
	})
	return func() {
		signal.Stop(hangups)
		cancel()
		wg.Wait()
	}
}

// hasTerminal reports whether this process has a terminal. It has none any more when SIGHUP says that it is closed.
func hasTerminal() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	_ = terminal.Close()
	return true
}
