//go:build linux

package fleet

import (
	"net"
	"runtime"
	"sync"
)

// Listen listens on the fleet's network, at a port of 10.77.0.254. So machines reach a service of this computer.
func (f *Fleet) Listen(address string) (listener net.Listener, err error) {
	var opening sync.WaitGroup
	opening.Go(func() {
		// As in Dial: the thread ends, and the socket stays where it was opened.
		runtime.LockOSThread()
		if err = enterNetwork(f.pid); err != nil {
			return
		}
		listener, err = net.Listen("tcp", address)
	})
	opening.Wait()
	return listener, err
}
