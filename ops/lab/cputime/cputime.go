// Package cputime measures the processor time, user and system, of a process and of all that it has started.
//
// **Input**: a process id. **Output**: the processes of its tree, from the kernel's /proc; so on Linux only: elsewhere
// the time is unknown, and callers say so. **Must not touch**: processes. It does not signal, start or wait for any.
package cputime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrUnknown says that this system has no /proc.
var ErrUnknown = errors.New("processor time is read from /proc, which this system does not have")

// Process is one process at one moment.
type Process struct {
	PID, Parent int
	Command     string   // the program's name as the kernel has it, at most 15 bytes
	Args        []string // its command line; a program may have written over it
	// User and system time, with that of its children that ended and were waited for; in steps of 10 ms.
	Used time.Duration
}

// tick is the unit of /proc's times: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// attempts bounds how often the tree is read because a process of it ended meanwhile.
const attempts = 10

// Tree returns root and all its descendants, root first. A process that ends while the tree is read would be counted
// twice or not at all, as its time goes to its parent; so the tree is read again then. Errors: ErrUnknown, and
// os.ErrNotExist when root is not running.
func Tree(root int) (tree []Process, err error) {
	for range attempts {
		var whole bool
		if tree, whole, err = read(root); err != nil || whole {
			break
		}
	}
	return tree, err
}

// read reads the tree once. whole: no process has ended meanwhile.
func read(root int) (tree []Process, whole bool, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		return nil, false, ErrUnknown
	}
	whole = true
	all, children := map[int]Process{}, map[int][]int{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			whole = false // it has ended
			continue
		}
		p, err := parse(string(text))
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", f, err)
		}
		all[p.PID] = p
		children[p.Parent] = append(children[p.Parent], p.PID)
	}
	if _, ok := all[root]; !ok {
		return nil, false, fmt.Errorf("process %d: %w", root, os.ErrNotExist)
	}
	for next := []int{root}; len(next) > 0; next = next[1:] {
		p := all[next[0]]
		p.Args = args(p.PID)
		tree = append(tree, p)
		next = append(next, children[p.PID]...)
	}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			whole = false
		}
	}
	return tree, whole, nil
}

// parse reads /proc/<pid>/stat, proc(5). The second field is the command in parentheses, and may itself contain spaces
// and parentheses.
func parse(stat string) (Process, error) {
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 0 || end < begin {
		return Process{}, fmt.Errorf("no command in %q", stat)
	}
	p := Process{Command: stat[begin+1 : end]}
	rest := strings.Fields(stat[end+1:]) // from the third field on
	if len(rest) < 15 {
		return Process{}, fmt.Errorf("too few fields in %q", stat)
	}
	var err error
	if p.PID, err = strconv.Atoi(strings.TrimSpace(stat[:begin])); err != nil {
		return Process{}, err
	}
	if p.Parent, err = strconv.Atoi(rest[1]); err != nil {
		return Process{}, err
	}
	for _, field := range rest[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Process{}, err
		}
		p.Used += time.Duration(n) * tick
	}
	return p, nil
}

// args is the command line of a process; none if the process has ended or may not be read.
func args(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

// Of sums the time that root and all its descendants have used.
func Of(root int) (time.Duration, error) {
	tree, err := Tree(root)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, p := range tree {
		sum += p.Used
	}
	return sum, nil
}
