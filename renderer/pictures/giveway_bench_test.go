package pictures_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"flickrkillr/renderer/pictures"
)

// servesTime has a process write the time each millisecond, see serve.
const servesTime = "time"

// BenchmarkOthersWhileSummed sums a file of 5 MB each 50 ms on one processor, as an upload is summed, and reports how
// late a goroutine learns of what another process sends each millisecond: when nothing is summed, when the file is
// summed at once, and as [pictures.Sum] does. b.N is how many times are sent.
//
//	go test ./renderer/pictures -run '^$' -bench OthersWhileSummed -benchtime 5000x
func BenchmarkOthersWhileSummed(b *testing.B) {
	data := make([]byte, 5_000_000)
	for _, c := range []struct {
		name string
		sum  func()
	}{
		{"nothing", func() {}},
		{"at-once", func() { sha256.Sum256(data); crc32.ChecksumIEEE(data) }},
		{"giving-way", func() {
			if _, err := pictures.Sum(bytes.NewReader(data), int64(len(data))); err != nil {
				b.Error(err)
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			sender := exec.CommandContext(b.Context(), os.Args[0])
			sender.Env = append(os.Environ(), servesAs+"="+servesTime)
			sent, err := sender.StdoutPipe()
			if err == nil {
				err = sender.Start()
			}
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _, _ = sender.Process.Kill(), sender.Wait() }() // it ends by that alone
			late := make([]time.Duration, b.N)
			received := make(chan error, 1)
			go func() {
				var nanoseconds int64
				var err error
				for i := 0; i < len(late) && err == nil; i++ {
					err = binary.Read(sent, binary.BigEndian, &nanoseconds)
					late[i] = time.Since(time.Unix(0, nanoseconds))
				}
				received <- err
			}()
			turns := time.NewTicker(50 * time.Millisecond)
			defer turns.Stop()
			for more := true; more; {
				select {
				case err := <-received:
					if more = false; err != nil {
						b.Fatal(err)
					}
				case <-turns.C:
					c.sum()
				}
			}
			slices.Sort(late)
			for name, at := range map[string]int{"p50-µs": 50, "p95-µs": 95, "p99-µs": 99} {
				b.ReportMetric(float64(late[(len(late)-1)*at/100].Microseconds()), name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// tellTime writes the time each millisecond, until nobody reads it.
func tellTime(to io.Writer) int {
	for range time.NewTicker(time.Millisecond).C {
		if err := binary.Write(to, binary.BigEndian, time.Now().UnixNano()); err != nil {
			return 0
		}
	}
	return 1
}
