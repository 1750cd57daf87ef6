//go:build !linux

package edge

import "syscall"

// limitReaders does nothing: only Linux has both bounds that a listening socket passes on.
func limitReaders(_, _ string, _ syscall.RawConn) error { return nil }
