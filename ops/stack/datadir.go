package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dataDir is a data directory that this process holds the lock of, until close or its end.
type dataDir struct {
	path string
	lock *os.File
}

// lockFile is locked by the process that uses the data directory, and contains its id.
const lockFile = "lock"

// openDataDir makes and locks a data directory. The kernel releases the lock when the process ends in any way.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o755); err != nil { // PostgreSQL's user walks through it
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := checkSpace(path); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(lock) // only to say more
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(inUse(path, strings.TrimSpace(string(holder))), lock.Close())
		}
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", path, err), lock.Close())
	}
	if err := errors.Join(lock.Truncate(0), writeAt(lock, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory: %w", err), lock.Close())
	}
	return &dataDir{path: path, lock: lock}, nil
}

func inUse(path, pid string) error {
	return fmt.Errorf("the data directory %s is in use by another `up` (pid %s): stop that one, or choose another "+
		"with --data, and other ports", path, pid)
}

// CheckFree returns an error if it is known that another process uses a data directory, see [Holder]. It says so before
// ports are found to be taken, by the services of that process.
func CheckFree(dir string) error {
	if pid, ok := Holder(dir); ok {
		return inUse(dir, strconv.Itoa(pid))
	}
	return nil
}

// Holder is the process that uses a data directory. It works on Linux only, by the open files of the process, and
// only if this user may read them: otherwise ok is false. The lock itself is not tried, as that could make a start
// fail.
func Holder(dir string) (pid int, ok bool) {
	path, err := filepath.Abs(filepath.Join(dir, lockFile))
	if err != nil {
		return 0, false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	lock, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return 0, false
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the only possible error is a bad pattern
	for _, f := range files {
		if open, err := os.Stat(f); err == nil && os.SameFile(open, lock) {
			return pid, true
		}
	}
	return 0, false
}

// Free space on the disk that a start needs: for an empty cluster and JetStream's first files; later, for some of
// PostgreSQL's log.
const (
	spaceToBegin = 128 << 20 // bytes
	spaceToGoOn  = 48 << 20
)

// checkSpace refuses a disk that is too full, before PostgreSQL fails on it.
func checkSpace(dir string) error {
	free, err := FreeSpace(dir)
	if err != nil {
		return err
	}
	need := int64(spaceToGoOn)
	if _, err := os.Stat(filepath.Join(dir, EnvFile)); errors.Is(err, os.ErrNotExist) {
		need = spaceToBegin
	}
	if free < need {
		return fmt.Errorf("the disk of %s is full: %d MiB are free, at least %d are needed", dir, free>>20, need>>20)
	}
	return nil
}

// FreeSpace is how many bytes an ordinary user can still write to the disk that dir is on.
func FreeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:unconvert // Bsize is a uint32 on macOS
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }

// close releases the lock. The file stays: removing it would let two processes hold locks on two files of one name.
func (d *dataDir) close() error { return d.lock.Close() }
