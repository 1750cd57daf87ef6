//go:build !linux

package stack

import "syscall"

// dieWithParent has no counterpart outside Linux: the next start ends what was left over.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
