//go:build !linux

package outside

import "syscall"

// attributes are how a process is started. It ends when it reads that its input has ended.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
