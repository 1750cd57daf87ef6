package stack

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unprivileged returns the user that children run as: nil, the current one, unless that is root, which PostgreSQL and
// memcached refuse. Then it is the first of the named users that exists.
func unprivileged(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("running as root, and none of the users %v exists to run a service as", names)
}

// give makes a user the owner of a file or folder.
func give(path string, cred *syscall.Credential) error {
	if cred == nil {
		return nil
	}
	return os.Lchown(path, int(cred.Uid), int(cred.Gid))
}

// reachable reports whether cred has access to dir: it needs execute permission for every folder on the way. A checkout
// in /root, or a temporary folder of mode 0700, does not.
func reachable(dir string, cred *syscall.Credential) (bool, error) {
	if cred == nil {
		return true, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return false, err
		default:
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return false, fmt.Errorf("no owner known for %s", dir)
			}
			bit := os.FileMode(0o001)
			if st.Uid == cred.Uid {
				bit = 0o100
			} else if st.Gid == cred.Gid {
				bit = 0o010
			}
			if info.Mode().Perm()&bit == 0 {
				return false, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true, nil
		}
		dir = parent
	}
}
