package password

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"
)

const (
	// outsideNice is the priority of processes that hash. Beside busy processes of the usual priority one gets a tenth
	// of a processor, so people can sign in during an overload too: a hash takes 0.3 s then.
	outsideNice = 10
	// outsideLate is how long a process may take for one hash before the hashes after it are made here for
	// outsidePause: two hundred sign-ins that wait are answered then. Its own hash is waited for: what it has done
	// would be done again. It is for a process that runs: in an overload a new one takes half a second to start.
	outsideLate = time.Second
	// outsideBound is how long it may take before it is killed and the hash is made here.
	outsideBound = 5 * time.Second
	// outsidePause is for how long no process is asked after one that was late or failed.
	outsidePause = time.Minute
)

// outside are the processes that hash for this one; nil: it hashes itself.
var outside atomic.Pointer[hashers]

// hashers are processes that hash, started when they are first needed.
type hashers struct {
	command func() *exec.Cmd
	failed  func(error)
	places  chan *hasher // one for each process that may run; nil: it does not run yet

	late, bound, pause time.Duration             // outsideLate, outsideBound and outsidePause
	pausedAt           atomic.Pointer[time.Time] // nil: never
}

// hasher is a process that hashes.
type hasher struct {
	command *exec.Cmd
	input   io.WriteCloser
	encoder *gob.Encoder
	decoder *gob.Decoder
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
// command, which has to call [Serve]. Go's scheduler lets a hash run for 10 ms at a time, and reads the network that
// rarely while hashes occupy all of its threads: in this process, 200 sign-ins at once made each page wait for that. A
// process that fails or is late is told to failed; then hashes are made here for a minute. end ends the processes; it
// waits for hashes.
func Outside(atOnce int, command func() *exec.Cmd, failed func(error)) (end func()) {
	return newHashers(atOnce, command, failed).begin()
}

func newHashers(atOnce int, command func() *exec.Cmd, failed func(error)) *hashers {
	all := &hashers{command: command, failed: failed, places: make(chan *hasher, atOnce),
		late: outsideLate, bound: outsideBound, pause: outsidePause}
	for range atOnce {
		all.places <- nil
	}
	return all
}

func (all *hashers) begin() (end func()) {
	outside.Store(all)
	return func() {
		outside.CompareAndSwap(all, nil)
		for range cap(all.places) {
			if h := <-all.places; h != nil {
				_ = h.end()
			}
		}
		close(all.places) // for hashes that wait for a place
	}
}

// hash asks a process; ok is false if none could answer, or if none is asked for now.
func (all *hashers) hash(q question) (sum []byte, ok bool) {
	if all.paused() {
		return nil, false
	}
	h, open := <-all.places
	if !open {
		return nil, false
	}
	defer func() { all.places <- h }()
	if all.paused() { // since it waits for a place
		return nil, false
	}
	var err error
	if h == nil {
		h, err = start(all.command())
	} else {
		late := time.AfterFunc(all.late, func() { all.fail(fmt.Errorf("no answer for %v", all.late)) })
		defer late.Stop()
	}
	if err == nil {
		if sum, err = h.ask(q, all.bound); err != nil {
			_ = h.command.Process.Kill() // it may not end by itself
			err = errors.Join(err, h.end())
			h = nil
		}
	}
	if err != nil {
		all.fail(err)
	}
	return sum, err == nil
}

// fail has no process asked for a while.
func (all *hashers) fail(err error) {
	now := time.Now()
	all.pausedAt.Store(&now)
	all.failed(fmt.Errorf("a process that hashes passwords: %w", err))
}

func (all *hashers) paused() bool {
	at := all.pausedAt.Load()
	return at != nil && time.Since(*at) < all.pause
}

// start starts a process that hashes, in a process group of its own: a Ctrl-C for this one does not end it, and its
// priority is that of all its threads.
func start(command *exec.Cmd) (*hasher, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	h := &hasher{command, input, gob.NewEncoder(input), gob.NewDecoder(output)}
	// It fails when this process has a lower one, which the other then has, too.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, command.Process.Pid, outsideNice)
	return h, nil
}

// ask returns the answer of the process, which is killed if it takes longer than bound.
func (h *hasher) ask(q question, bound time.Duration) (sum []byte, err error) {
	late := time.AfterFunc(bound, func() { _ = h.command.Process.Kill() })
	defer late.Stop()
	if err := h.encoder.Encode(q); err != nil {
		return nil, err
	}
	if err := h.decoder.Decode(&sum); err != nil {
		return nil, err
	}
	if len(sum) != int(q.Size) {
		return nil, fmt.Errorf("an answer of %d bytes, not %d", len(sum), q.Size)
	}
	return sum, nil
}

// end tells the process to end, and waits for it.
func (h *hasher) end() error {
	late := time.AfterFunc(outsideBound, func() { _ = h.command.Process.Kill() })
	defer late.Stop()
	return errors.Join(h.input.Close(), h.command.Wait())
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
