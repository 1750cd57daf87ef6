package pictures

import (
	"os"
	"runtime"
)

// giveWay lets goroutines go on for which the network has brought something, before one that calculates does.
//
// A Go program looks at the network when no goroutine can run, and else every 10 ms. A process that uses one processor,
// as on a small machine, reads no request meanwhile. [runtime.Gosched] does not change that: where no other goroutine
// is known to be able to run, it returns at once. So wait waits for a byte in a pipe, which the program learns of as it
// learns of requests.
type giveWay struct {
	read, write *os.File // nil: the process may not open more files, and wait does nothing
}

// newGiveWay opens the pipe. The caller closes it.
func newGiveWay() *giveWay {
	read, write, err := os.Pipe()
	if err != nil {
		return &giveWay{}
	}
	return &giveWay{read, write}
}

// wait returns when the goroutines have run, each until it waited for something, that the network had something for. It
// takes some microseconds where there are none. It is for one goroutine at a time.
func (g *giveWay) wait() {
	if g.read == nil {
		return
	}
	go func() { _, _ = g.write.Write([]byte{0}) }() // the pipe is empty, so it has room
	_, _ = g.read.Read(make([]byte, 1))
	runtime.Gosched() // to those who were found together with the byte
}

func (g *giveWay) close() {
	if g.read != nil {
		_, _ = g.read.Close(), g.write.Close() // nothing in it is needed
	}
}
