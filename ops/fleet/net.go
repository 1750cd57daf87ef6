//go:build linux

package fleet

import (
	"context"
	"net"
	"runtime"
)

// Dial connects this program to a machine, from 10.77.0.254: it is what a visitor of the machines sees. address is
// numeric.
func (f *Fleet) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = f.inside(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens for machines, at a port of 10.77.0.254. So a service of this computer can be theirs, too.
func (f *Fleet) Listen(address string) (l net.Listener, err error) {
	err = f.inside(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// inside runs open on a thread that is in the fleet's network namespace. Sockets stay where they were opened.
func (f *Fleet) inside(open func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread is not used again: it ends with this goroutine
		err := enterNetwork(f.pid)
		if err == nil {
			err = open()
		}
		done <- err
	}()
	return <-done
}
