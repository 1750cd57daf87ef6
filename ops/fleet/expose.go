//go:build linux

package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// Expose lets machines reach a service of this computer, by TCP: service is its address, and address a port of
// 10.77.0.254. It returns what ends that, with all connections.
func (f *Fleet) Expose(address, service string) (stop func(), err error) {
	l, err := f.Listen(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { pass(ctx, from, service) })
		}
	})
	return func() {
		cancel()
		_ = l.Close()
		passing.Wait()
	}, nil
}

// pass passes bytes both ways until both sides have ended.
func pass(ctx context.Context, from net.Conn, service string) {
	defer func() { _ = from.Close() }()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", service)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(from.Close(), to.Close()) })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_ = way[1].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}
