package edge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The parts of BenchmarkFlood but the edge are processes of their own, so that no part shares the edge's scheduler and
// collector: this test program with these variables in its environment.
const (
	partVariable = "KILLR_TEST_FLOOD_PART" // visitor, flooder or burner
	edgeVariable = "KILLR_TEST_FLOOD_EDGE" // host:port
	kindVariable = "KILLR_TEST_FLOOD_KIND" // of a flooder: a key of floods; of a burner: processors that it uses
)

// Where the parts are, so that an edge tells them apart.
const visitorIP, flooderIP = "127.0.0.2", "127.0.0.3"

// floodConnections is how many connections a flooder has at once.
const floodConnections = 8

// playsPartOfFlood plays the part that the environment names, and ends the process. Without one it does nothing.
func playsPartOfFlood() {
	to, kind := os.Getenv(edgeVariable), os.Getenv(kindVariable)
	switch os.Getenv(partVariable) {
	case "":
		return
	case "visitor":
		playVisitor(to)
	case "flooder":
		for range floodConnections {
			go playFlooder(to, floods[kind].flood)
		}
	case "burner":
		var processors float64
		if _, err := fmt.Sscan(kind, &processors); err != nil {
			panic(err)
		}
		for ; processors > 0; processors-- {
			go playBurner(min(processors, 1))
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // it ends with the benchmark
	os.Exit(0)
}

// part is a process that plays a part.
type part struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startPart starts a process. A flooder and a burner give way to all others.
func startPart(b *testing.B, name, to, kind string) *part {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), partVariable+"="+name, edgeVariable+"="+to, kindVariable+"="+kind)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all its threads get the priority
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if name != "visitor" {
		if err := syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 19); err != nil {
			b.Fatal(err)
		}
	}
	return &part{cmd, stdin, bufio.NewReader(stdout)}
}

// end ends the process, and returns how much processor time it has used.
func (p *part) end() time.Duration {
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// visit has a visitor visit n pages, and returns how long each took.
func (p *part) visit(b *testing.B, n int) (times []time.Duration) {
	b.Helper()
	if _, err := fmt.Fprintln(p.stdin, n); err != nil {
		b.Fatal(err)
	}
	line, err := p.stdout.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &times)
	}
	if err != nil || len(times) != n {
		b.Fatalf("the visitor saw %d of %d pages: %v", len(times), n, err)
	}
	return times
}

// playVisitor visits as many pages as each line of the input says, alternately one in memory and one that no cache
// has, one after another. It ends when one is not answered.
func playVisitor(to string) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(visitorIP)}}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: true,
	}
	in, pages := bufio.NewScanner(os.Stdin), 0
	for in.Scan() {
		var n int
		if _, err := fmt.Sscan(in.Text(), &n); err != nil {
			panic(err)
		}
		times := make([]time.Duration, 0, n)
		for range n {
			pages++
			path := "/photos/ansel"
			if pages%2 == 0 {
				path = fmt.Sprintf("/photos/cold%d", pages)
			}
			start := time.Now()
			resp, err := transport.RoundTrip(must(http.NewRequest(http.MethodGet, "https://"+to+path, nil)))
			if err != nil || resp.StatusCode != http.StatusOK {
				panic(fmt.Sprint(path, resp, err))
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				panic(err)
			}
			_ = resp.Body.Close()
			times = append(times, time.Since(start))
		}
		fmt.Println(string(must(json.Marshal(times))))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// playFlooder floods an edge over one connection after another.
func playFlooder(to string, flood func(*flooder)) {
	for {
		playFlood(to, flood)
	}
}

func playFlood(to string, flood func(*flooder)) {
	t := &outsideTB{}
	done := make(chan struct{})
	go func() { // which the flooder may end by Fatal
		defer close(done)
		c := dialFloodFrom(t, flooderIP, to)
		defer func() { _ = c.conn.Close() }()
		go c.read()
		flood(c)
	}()
	<-done
}

// outsideTB is what a flooder needs of a test where there is none: it ends the goroutine when a connection fails.
type outsideTB struct{ testing.TB }

func (*outsideTB) Helper()         {}
func (*outsideTB) Cleanup(func())  {}
func (*outsideTB) Error(...any)    {}
func (*outsideTB) Fatal(...any)    { runtime.Goexit() }
func (*outsideTB) Log(text ...any) { fmt.Fprintln(os.Stderr, strings.TrimSpace(fmt.Sprintln(text...))) }

// burnSlice is the time in which a burner uses its share of a processor.
const burnSlice = 5 * time.Millisecond

// playBurner uses a share of a processor, and talks to nobody.
func playBurner(share float64) {
	for next := time.Now(); ; {
		for busy := time.Now(); time.Since(busy) < time.Duration(share*float64(burnSlice)); {
		}
		next = next.Add(burnSlice)
		time.Sleep(time.Until(next))
	}
}
