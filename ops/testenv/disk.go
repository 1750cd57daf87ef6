package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Disk is a small file system in memory, for tests of a full disk.
type Disk struct{ Dir string }

// NewDisk mounts a file system of so many KiB for this test, which must run as root.
func NewDisk(t testing.TB, kib int) *Disk {
	t.Helper()
	d := &Disk{Dir: DataDir(t)}
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"-t", "tmpfs", "-o", fmt.Sprintf("size=%dk,mode=0777", kib), "tmpfs", d.Dir}
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("this test fills a file system of its own, and needs the right to mount one, as root on Linux: "+
			"%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", d.Dir).CombinedOutput(); err != nil {
			t.Errorf("unmount %s: %v: %s", d.Dir, err, out)
		}
	})
	return d
}

// GiveToPostgres makes the user that PostgreSQL runs as the owner of the disk's root, as a tablespace needs.
func (d *Disk) GiveToPostgres(t testing.TB) {
	t.Helper()
	owner, err := user.Lookup("postgres")
	if err != nil {
		if owner, err = user.Lookup("nobody"); err != nil {
			t.Fatal(err)
		}
	}
	uid, uidErr := strconv.Atoi(owner.Uid)
	gid, gidErr := strconv.Atoi(owner.Gid)
	if err := errors.Join(uidErr, gidErr, os.Chown(d.Dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
}

func (d *Disk) filler() string { return filepath.Join(d.Dir, "filler") }

// Fill leaves no room on the disk. Files that grow later find none either.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill %s: %v", d.Dir, err)
	}
}

// Free makes room again.
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		t.Fatal(err)
	}
}
