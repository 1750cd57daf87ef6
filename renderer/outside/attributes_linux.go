package outside

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes are how a process is started. The kernel kills it when the thread ends that has started it. Go ends its
// threads with the process, except one to which a goroutine was locked.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// niceIdle is what an idle session has where Linux shares processors between sessions first.
const niceIdle = 19

// lower lowers the priority of a process that was just started. Where that fails, this process has a lower one, which
// the other has, too; or the system knows no sessions.
func lower(pid int, idle bool) {
	nice := Nice
	if idle {
		nice = niceIdle
		makeIdle(pid)
	} else {
		_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, Nice)
	}
	// See sched(7), "The autogroup feature".
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), strconv.AppendInt(nil, int64(nice), 10), 0)
}

// makeIdle gives the threads of a process the policy SCHED_IDLE, which new threads take over. Any other thread that
// wakes up gets the processor of such a thread at once; one of a low priority it may keep for a few milliseconds.
func makeIdle(pid int) {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	for known := map[string]bool{}; ; { // until no thread is new: an older one may have made it before it was idle
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return
		}
		before := len(known)
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil || known[thread.Name()] {
				continue
			}
			known[thread.Name()] = true
			_ = unix.SchedSetAttr(tid, &attr, 0) // it fails for a thread that has ended
		}
		if len(known) == before {
			return
		}
	}
}
