//go:build linux || darwin

package seed

import "syscall"

// available is the number of bytes that somebody who is not root may write.
func available(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
