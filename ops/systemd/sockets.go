// Package systemd is what a process and the systemd that runs it tell each other.
//
// **Input**: the environment that systemd gives a service, and the roles of this process. **Output**: sockets that
// systemd opened; READY=1, STATUS=, WATCHDOG=1 and STOPPING=1. **Must not touch**: roles, other than by asking them.
// A process that systemd did not start gets no sockets and tells nobody anything.
//
//	sockets.go  sockets that systemd has opened
//	report.go   what systemd is told
package systemd

import (
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// Sockets returns the listening sockets of TCP that systemd passes to this process, by their FileDescriptorName=; nil
// if it passes none. Other processes may listen on the same sockets. Call it once: the environment then names none.
func Sockets() (map[string]net.Listener, error) {
	sockets := map[string]net.Listener{}
	var wrong error
	for _, file := range activation.Files(true) {
		name := file.Name()
		lis, err := net.FileListener(file)
		_ = file.Close() // the listener has a copy
		if err == nil && sockets[name] != nil {
			err = errors.Join(errors.New("there is one of that name already: list one address in each socket unit"),
				lis.Close())
		}
		if err == nil {
			if _, tcp := lis.(*net.TCPListener); !tcp {
				err = errors.Join(errors.New("it is not one of TCP"), lis.Close())
			}
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("take the socket %q of systemd: %w", name, err))
			continue
		}
		sockets[name] = lis
	}
	if wrong != nil {
		for _, lis := range sockets {
			wrong = errors.Join(wrong, lis.Close())
		}
		return nil, wrong
	}
	return sockets, nil
}
