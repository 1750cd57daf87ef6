package outside

import "syscall"

// attributes are how a process is started. The kernel kills it when the thread ends that has started it. Go ends its
// threads with the process, except one to which a goroutine was locked.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
