//go:build !linux

package chaos

import (
	"errors"
	"runtime"
)

func forbidFiles(int) (undo func() error, err error) { return nil, forbidMemory(0) }

func forbidMemory(int) error {
	return errors.New("the limits of another process cannot be set on " + runtime.GOOS)
}
