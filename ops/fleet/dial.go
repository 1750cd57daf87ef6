//go:build linux

package fleet

import (
	"context"
	"net"
	"runtime"
	"sync"
)

// Dial connects this program to an address on the fleet's network, such as 10.77.0.1:80, as a [Fleet.Command] would.
// Names of machines are not known here. It is a DialContext for an [net/http.Transport].
func (f *Fleet) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	var dialing sync.WaitGroup
	dialing.Go(func() {
		// A thread that has been in another network namespace is not used again: it ends with this goroutine.
		runtime.LockOSThread()
		if err = enterNetwork(f.pid); err != nil {
			return
		}
		var dialer net.Dialer // one address, so that it dials on this thread
		conn, err = dialer.DialContext(ctx, network, address)
	})
	dialing.Wait()
	return conn, err
}
