package cputime

import (
	"fmt"
	"syscall"
	"time"
)

// Self is the user and system time that this process has used, without its children's, on every Unix.
func Self() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}
