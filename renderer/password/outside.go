package password

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"flickrkillr/renderer/outside"
)

const (
	// outsideLate is how long a process may take for one hash before the hashes after it are made here for
	// outsidePause: two hundred sign-ins that wait are answered then. Its own hash is waited for: what it has done
	// would be done again. It is for a process that runs: in an overload a new one takes half a second to start.
	outsideLate = time.Second
	// OutsideBound is how long it may take before it is killed and the hash is made here.
	OutsideBound = 5 * time.Second
	// outsidePause is for how long no process is asked after one that was late or failed.
	outsidePause = time.Minute
)

// others are the processes that hash for this one; nil: it hashes itself.
var others atomic.Pointer[hashers]

// hashers are processes that hash.
type hashers struct {
	*outside.Processes
	failed      func(error)
	late, bound time.Duration // outsideLate and OutsideBound
}

// question is what a process is asked for.
type question struct {
	Password string
	Salt     []byte
	Memory   uint32 // KiB
	Time     uint32
	Threads  uint8
	Size     uint32
}

// Outside has passwords hashed by other processes of a lower priority from now on, by so many at once. Each runs
// command, which has to call [Serve], and is killed when a hash takes longer than bound, as a rule OutsideBound. Go's
// scheduler lets a hash run for 10 ms at a time, and reads the network that rarely while hashes occupy all of its
// threads: in this process, 200 sign-ins at once made each page wait for that. A process that fails or is late is told
// to failed; then hashes are made here for a minute. end ends the processes; it waits for hashes.
func Outside(atOnce int, bound time.Duration, command func() *exec.Cmd, failed func(error)) (end func()) {
	return newHashers(atOnce, bound, command, failed).begin()
}

func newHashers(atOnce int, bound time.Duration, command func() *exec.Cmd, failed func(error)) *hashers {
	return &hashers{outside.New(atOnce, command, outsidePause), failed, outsideLate, bound}
}

func (all *hashers) begin() (end func()) {
	others.Store(all)
	return func() {
		others.CompareAndSwap(all, nil)
		all.End()
	}
}

// hash asks a process; ok is false if none could answer, or if none is asked for now.
func (all *hashers) hash(q question) (sum []byte, ok bool) {
	err := all.Ask(context.Background(), func(p *outside.Process) error {
		if !p.New {
			late := time.AfterFunc(all.late, func() { all.fail(fmt.Errorf("no answer for %v", all.late)) })
			defer late.Stop()
		}
		late := time.AfterFunc(all.bound, p.Kill)
		defer late.Stop()
		if err := p.Encode(q); err != nil {
			return err
		}
		if err := p.Decode(&sum); err != nil {
			return err
		}
		if len(sum) != int(q.Size) {
			return fmt.Errorf("an answer of %d bytes, not %d", len(sum), q.Size)
		}
		return nil
	})
	if err != nil && !errors.Is(err, outside.ErrNone) {
		all.fail(err)
	}
	return sum, err == nil
}

// fail has no process asked for a while.
func (all *hashers) fail(err error) {
	all.Pause()
	all.failed(fmt.Errorf("a process that hashes passwords: %w", err))
}

// Serve hashes what [Outside] of another process asks for, until its input ends.
func Serve(input io.Reader, output io.Writer) error {
	decoder, encoder := gob.NewDecoder(input), gob.NewEncoder(output)
	for {
		var q question
		if err := decoder.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(q.hash()); err != nil {
			return err
		}
	}
}

func (q question) hash() []byte {
	return argon2.IDKey([]byte(q.Password), q.Salt, q.Time, q.Memory, q.Threads, q.Size)
}
