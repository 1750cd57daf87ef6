//go:build !linux

package outside

import "syscall"

// attributes are how a process is started. It ends when it reads that its input has ended.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// lower lowers the priority of a process. It fails when this process has a lower one, which the other has, too.
func lower(pid int, _ bool) { _ = syscall.Setpriority(syscall.PRIO_PGRP, pid, Nice) }
