package pictures

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
)

// TestGiveWay: in a process that uses one processor, a goroutine that calculates lets one go on for which something has
// arrived. It is not parallel, as it takes the other processors away.
func TestGiveWay(t *testing.T) { //nolint:paralleltest // see above
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var arrived atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := read.Read(make([]byte, 1)); err != nil {
				return
			}
			arrived.Add(1)
		}
	}()
	way := newGiveWay()
	defer way.close()
	way.wait() // the goroutine waits
	for n := range int32(100) {
		if _, err := write.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		// Go's scheduler goes on with this goroutine first now and then; the other one runs the next time.
		if way.wait(); arrived.Load() < n {
			t.Fatalf("of %d things that have arrived, %d were seen to", n+1, arrived.Load())
		}
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	(&giveWay{}).wait() // without a pipe nothing is waited for
}
