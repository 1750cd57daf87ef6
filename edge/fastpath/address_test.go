package fastpath

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"flickrkillr/ops/testenv"
)

// addressListener accepts pipes, all from one address.
type addressListener struct {
	pipes   chan net.Conn
	address Address
	site    *http2Site
}

func (l *addressListener) Accept() (net.Conn, error) {
	if nc, ok := <-l.pipes; ok {
		return countedConn{nc, &l.address}, nil
	}
	return nil, net.ErrClosed
}

func (l *addressListener) Close() error   { close(l.pipes); return nil }
func (l *addressListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *addressListener) dial() net.Conn {
	here, there := net.Pipe()
	l.pipes <- there
	return here
}

// onAddress runs a test in fake time with a server, all of whose clients are at one address. A pipe has no buffer: what
// a client has written the server has read. Time passes only while everybody waits.
func onAddress(t *testing.T, encryption *tls.Config, test func(*testing.T, *addressListener)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &addressListener{pipes: make(chan net.Conn)}
		l.site = serveHTTP2(t, l, encryption, Config{AddressRequests: 1000})
		test(t, l)
	})
}

// pings sends PING until the connection ends, or a condition holds. It returns how many were sent.
func pings(t *testing.T, l *addressListener, enough func() bool) (sent int) {
	c := beginHTTP2(t, l.dial())
	go func() {
		for {
			frame, err := c.ReadFrame()
			if _, ends := frame.(*http2.GoAwayFrame); ends || err != nil {
				_ = c.conn.Close()
				return
			}
		}
	}()
	for !enough() && c.WritePing(false, [8]byte{1}) == nil {
		sent++
	}
	return sent
}

// TestPace: a client whose frames earn nothing is read at a bounded pace, and then ended. Its address has that for all
// its connections, and the next ones begin with less.
func TestPace(t *testing.T) {
	onAddress(t, nil, func(t *testing.T, l *addressListener) {
		began := time.Now()
		atOnce := func() bool { return time.Now().After(began) }
		never := func() bool { return false }
		if n := pings(t, l, atOnce); n < freeFrames-batch || n > freeFrames+2*batch {
			t.Errorf("%d frames are read at once", n)
		}
		began = time.Now()
		sent := pings(t, l, never)
		took := time.Since(began)
		most := mostFrames + freeFrames + int(took.Seconds()*framesPerSecond) + batch
		if sent < mostFrames || sent > most {
			t.Errorf("the connection ends after %d frames, want %d to %d", sent, mostFrames, most)
		}
		paced := func(what string, frames int, took time.Duration) {
			t.Helper()
			if most := int(took/frameTime) + freeFrames + 2*batch; frames > most {
				t.Errorf("%s: %d frames are read in %v, want at most %d", what, frames, took, most)
			}
		}
		paced("one connection", sent, took)

		const connections = 20
		began = time.Now()
		var all sync.WaitGroup
		var read [connections]int
		for i := range read {
			all.Go(func() { read[i] = pings(t, l, func() bool { return time.Since(began) > 3*time.Second }) })
		}
		all.Wait()
		sum, least := 0, read[0]
		for _, n := range read {
			sum, least = sum+n, min(least, n)
		}
		paced("many connections", sum-connections*freeInDebt, time.Since(began))
		if least < sum/connections/2 {
			t.Errorf("connections have had %d frames each, one of them %d", sum/connections, least)
		}

		began = began.Add(time.Since(began))
		if n := pings(t, l, atOnce); n > freeInDebt+batch {
			t.Errorf("%d frames are read at once of an address in debt", n)
		}
		time.Sleep(debtTime + time.Second)
		began = time.Now()
		if n := pings(t, l, atOnce); n < freeFrames-batch {
			t.Errorf("%d frames are read at once of an address that was in debt", n)
		}
	})
}

// TestPaceSparesOthers: a client at the address of a flood that takes answers never waits.
func TestPaceSparesOthers(t *testing.T) {
	onAddress(t, nil, func(t *testing.T, l *addressListener) {
		ends := make(chan struct{})
		over := func() bool {
			select {
			case <-ends:
				return true
			default:
				return false
			}
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { pings(t, l, over) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		for range 3 {
			c := beginHTTP2(t, l.dial())
			var r received
			for i := range uint32(300) {
				go c.get(2*i+1, fmt.Sprintf("/%s/10", [...]string{"near", "far"}[i%2]))
				c.until(&r, func(http2.Frame) bool { return r.ended[2*i+1] })
			}
			if !r.allEnded(300) {
				t.Fatalf("%d requests are answered", len(r.ended))
			}
			_ = c.conn.Close()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("a client has waited for %v", took)
		}
		close(ends)
		all.Wait()
	})
}

// TestPaceOfHandshakes: connections of an address in debt begin in turns.
func TestPaceOfHandshakes(t *testing.T) {
	certificate, _ := testenv.Certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	encryption := &tls.Config{Certificates: []tls.Certificate{*certificate}}
	for _, inDebt := range []bool{false, true} {
		t.Run(fmt.Sprint(inDebt), func(t *testing.T) {
			onAddress(t, encryption, func(t *testing.T, l *addressListener) {
				const connections = 20
				began, want := time.Now(), time.Duration(0)
				if inDebt {
					l.address.Offends(began)
					want = (connections - 1) * handshakeCost * frameTime
				}
				var all sync.WaitGroup
				for range connections {
					all.Go(func() {
						conn := tls.Client(l.dial(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's
						if err := conn.Handshake(); err != nil {
							t.Error(err)
						}
						_ = conn.Close()
					})
				}
				all.Wait()
				if took := time.Since(began); took != want {
					t.Errorf("the handshakes take %v, want %v", took, want)
				}
			})
		})
	}
}

// TestTurns: turns that are too far away are refused, and none is once they have passed.
func TestTurns(t *testing.T) {
	t.Parallel()
	var a Address
	now, given := time.Unix(1, 0), 0
	for {
		wait, ok := a.turn(now, batch)
		if !ok {
			break
		}
		if want := time.Duration(given*batch) * frameTime; wait != want {
			t.Fatalf("turn %d is in %v, want %v", given, wait, want)
		}
		given++
	}
	if want := int(longestWait/(batch*frameTime)) + 1; given != want {
		t.Errorf("%d turns are given, want %d", given, want)
	}
	if wait, ok := a.turn(now.Add(time.Hour), batch); !ok || wait != 0 {
		t.Errorf("an hour later the turn is in %v, %t", wait, ok)
	}
}
