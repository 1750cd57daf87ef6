//go:build linux

package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// waitingFrames is how many frames wait in one direction of a slow cable.
	waitingFrames = 1000
	// frameBytes is the longest frame that a tap device gives: an Ethernet header and 1,500 bytes, and some more.
	frameBytes = 2048
)

// Slowness is what a machine's cable does to each frame, in either direction. The zero value is a cable that is not
// slow.
type Slowness struct {
	Delay          time.Duration
	BytesPerSecond int     // 0: no bound. What does not fit waits; when 1,000 frames wait, further ones are lost
	Lost           float64 // the part of all frames that is lost, from 0 to 1
}

// cable is what is between a machine's veth device and the bridge. As a rule that is nothing. When it is slow, frames
// pass through this program: a bridge of the machine's own with a tap device (a1), which is connected by two goroutines
// to a tap device on the bridge of all (b1). Linux has netem for that, which not every kernel is built with.
type cable struct {
	fleet  *Fleet
	number int

	ends   [2]*os.File // the two tap devices; nil: the cable is not slow
	copies sync.WaitGroup
}

// slowScript connects the machine's veth device to a tap device of its own, and another one to the bridge.
const slowScript = `ip link add "c$1" type bridge
ip link set "c$1" up
ip link set "a$1" master "c$1" up
ip link set "b$1" master br0 up
ip link set "p$1" master "c$1"`

// quickScript undoes slowScript, also one that failed half-way.
const quickScript = `ip link set "p$1" master br0
if ip link show "c$1" >/dev/null 2>&1; then ip link delete "c$1"; fi`

// quickLimit bounds quickScript after slowScript has failed, perhaps because there was no time left.
const quickLimit = 30 * time.Second

func (c *cable) slow(ctx context.Context, how Slowness) error {
	if how.Delay < 0 || how.BytesPerSecond < 0 || !(how.Lost >= 0 && how.Lost <= 1) {
		return errors.New("a delay and a number of bytes are not negative, and a part is from 0 to 1")
	}
	if err := c.fleet.script(ctx, quickScript, number(c.number)); err != nil {
		return err
	}
	c.cut()
	if how == (Slowness{}) {
		return nil
	}
	if err := c.openTaps(); err != nil {
		return err
	}
	if err := c.fleet.script(ctx, slowScript, number(c.number)); err != nil {
		c.cut()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quickLimit)
		defer cancel()
		return errors.Join(err, c.fleet.script(ctx, quickScript, number(c.number)))
	}
	c.pass(c.ends[0], c.ends[1], how)
	c.pass(c.ends[1], c.ends[0], how)
	return nil
}

// cut ends a slow cable for good: nothing passes, also none of the frames that wait.
func (c *cable) cut() {
	for i, end := range c.ends {
		if end != nil {
			_ = end.Close() // the device goes with it
		}
		c.ends[i] = nil
	}
	c.copies.Wait()
}

// openTaps makes the two tap devices in the fleet's network namespace.
func (c *cable) openTaps() error {
	var err error
	var opening sync.WaitGroup
	opening.Go(func() {
		// A thread that has been in another network namespace is not used again: it ends with this goroutine.
		runtime.LockOSThread()
		if err = enterNetwork(c.fleet.pid); err != nil {
			return
		}
		for i, name := range []string{"a", "b"} {
			if c.ends[i], err = openTap(name + number(c.number)); err != nil {
				return
			}
		}
	})
	opening.Wait()
	if err != nil {
		c.cut()
	}
	return err
}

// enterNetwork moves this thread into the network namespace of a process.
func enterNetwork(pid string) error {
	namespace, err := os.Open("/proc/" + pid + "/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = namespace.Close() }()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the fleet's network: %w", err)
	}
	return nil
}

// openTap makes a tap device in the network namespace of this thread. It exists until the file is closed.
func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("this kernel has no tap devices: open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make the tap device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil // in Go's poller, so Close ends a Read
}

// frame is what passes a cable, and when it comes out.
type frame struct {
	data []byte
	due  time.Time
}

// pass takes frames from one end to the other until from is closed.
func (c *cable) pass(from, to *os.File, how Slowness) {
	waiting, ended := make(chan frame, waitingFrames), make(chan struct{})
	c.copies.Go(func() {
		defer close(ended)
		var free time.Time // when the last frame has passed a narrow place
		for {
			data := make([]byte, frameBytes)
			n, err := from.Read(data)
			if err != nil {
				return
			}
			if now := time.Now(); free.Before(now) {
				free = now
			}
			if how.BytesPerSecond > 0 {
				free = free.Add(time.Duration(n) * time.Second / time.Duration(how.BytesPerSecond))
			}
			if how.Lost > 0 && rand.Float64() < how.Lost {
				continue
			}
			select {
			case waiting <- frame{data[:n], free.Add(how.Delay)}:
			default: // lost
			}
		}
	})
	c.copies.Go(func() {
		for {
			select {
			case <-ended:
				return
			case next := <-waiting:
				select {
				case <-ended:
					return
				case <-time.After(time.Until(next.due)):
				}
				_, _ = to.Write(next.data) // a device that is down loses it, as a cable does
			}
		}
	})
}
