package chaos

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// forbidFiles sets the limit of open files of a process to 0, until undo.
func forbidFiles(pid int) (undo func() error, err error) {
	return forbid(pid, unix.RLIMIT_NOFILE, "open files")
}

// forbidMemory sets the limit of a process' memory to 0: it keeps what it has, and ends when it asks for more.
func forbidMemory(pid int) error {
	_, err := forbid(pid, unix.RLIMIT_AS, "memory")
	if errors.Is(err, unix.ESRCH) {
		return errSkipped
	}
	return err
}

// forbid sets a limit of a process to 0, until undo.
func forbid(pid, resource int, what string) (undo func() error, err error) {
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
		return nil, fmt.Errorf("read the limit of %s: %w", what, err)
	}
	set := func(limit unix.Rlimit) error {
		if err := unix.Prlimit(pid, resource, &limit, nil); err != nil {
			return fmt.Errorf("set the limit of %s: %w", what, err)
		}
		return nil
	}
	return func() error { return set(old) }, set(unix.Rlimit{Cur: 0, Max: old.Max})
}
