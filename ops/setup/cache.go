package setup

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// cacheDir is a folder of the user's cache for one version of a thing.
func cacheDir(name string) string {
	cache, err := os.UserCacheDir()
	if err != nil { // no HOME, as in some containers and services
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
	}
	return filepath.Join(cache, "flickrkillr", name)
}

// makeOnce makes what belongs into dir, unless it is there. Only one process makes it; the others wait.
func makeOnce(dir string, there func() bool, build func() error) error {
	if there() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if there() { // another process made it while this one waited
		return nil
	}
	return build()
}
