package edge

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a visitor who reads slowly or not at all. Without them the kernel takes a whole picture into its own memory
// and keeps it, and the connection, for as long as the visitor likes.
const (
	unsentBytes = 16 << 10         // of an answer that wait in the kernel, besides those on their way
	readerGone  = 10 * time.Second // without room at the reader, or without a sign of it; then the kernel resets it
)

// limitReaders sets the bounds on a socket that listens. The connections inherit them.
func limitReaders(_, _ string, c syscall.RawConn) error {
	var err error
	return errors.Join(c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(readerGone/time.Millisecond)),
		)
	}), err)
}
