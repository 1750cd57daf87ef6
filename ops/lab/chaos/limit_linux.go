package chaos

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// forbidFiles sets the limit of open files of a process to 0, until undo.
func forbidFiles(pid int) (undo func() error, err error) {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return nil, fmt.Errorf("read the limit of open files: %w", err)
	}
	set := func(limit unix.Rlimit) error {
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			return fmt.Errorf("set the limit of open files: %w", err)
		}
		return nil
	}
	return func() error { return set(old) }, set(unix.Rlimit{Cur: 0, Max: old.Max})
}
