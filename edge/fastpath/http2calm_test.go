package fastpath

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestCalm: what clients do that use a site is never too much, for hours; what brings and takes nothing is, soon. Each
// step is what a client sends within some time, and what it earns by that.
func TestCalm(t *testing.T) {
	t.Parallel()
	const pictures = 200
	for name, c := range map[string]struct {
		every  time.Duration // a step
		frames int           // of a step
		earned int64         // by each frame
		steps  int
		ends   bool
	}{
		"events for a day, and a PING each second":      {time.Second, 1, 0, 86_400, false},
		"30 small events a second, and windows for all": {time.Second, 60, 0, 36_000, false},
		"an upload in frames of a byte":                 {0, 1, ofBody(0, 1), 5_000_000, false},
		"an upload in long frames":                      {0, 1, ofBody(0, 16_384), 10_000, false},
		"padding alone":                                 {0, 1, ofBody(http2.FlagDataPadded, 9), 10_000, true},
		"empty frames":                                  {0, 1, ofBody(0, 0), 10_000, true},
		"frames of a byte after the end of a stream":    {0, 1, ofBody(0, 1) - 1, 10_000, true},
		"pages as fast as they come":                    {0, 4, framesPerAnswer / 4, 1_000_000, false},
		"pictures that are reset, in a moment":          {0, 2 * pictures, 0, 10, false},
		"pictures that are reset, for an hour":          {4 * time.Second, 2 * pictures, 0, 900, false},
		"rapid reset":                                   {time.Millisecond, 2, 0, 10_000, true},
		"PING":                                          {time.Millisecond, 1, 0, 10_000, true},
		"PING after a day":                              {time.Microsecond, 1, 0, 10_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(1, 0)
			var balance atomic.Int64
			balance.Store(freeFrames)
			calm, goesOn := calm{since: now}, true
			if name == "PING after a day" {
				now = now.Add(24 * time.Hour)
			}
			step := 0
			for ; step < c.steps && goesOn; step++ {
				now = now.Add(c.every)
				for range c.frames {
					if calm.left--; calm.left < 0 {
						if left, cost := calm.settle(&balance); left < 0 {
							now = now.Add(time.Duration(cost) * frameTime)
							goesOn = goesOn && calm.credit(&balance, now, freeFrames) >= -mostFrames
						}
					}
					balance.Add(c.earned)
				}
			}
			if goesOn == c.ends {
				t.Errorf("the connection goes on: %t, after %d steps", goesOn, step)
			}
		})
	}
}

// TestHTTP2DataOfAByte: an upload may come byte by byte while it is read. Once the stream has ended it may not.
func TestHTTP2DataOfAByte(t *testing.T) {
	t.Parallel()
	s := startHTTP2(t, nil)
	for path, ends := range map[string]bool{"/far/reads/9": false, "/far/9": true} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			c := dialHTTP2(t, s)
			c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(path),
				EndHeaders: true}))
			var r received
			if ends {
				c.until(&r, func(http2.Frame) bool { return r.ended[1] })
			}
			for range 4 * mostFrames {
				if c.WriteData(1, false, []byte("?")) != nil {
					break
				}
			}
			if !ends {
				c.must(c.WriteData(1, true, nil))
				c.until(&r, func(http2.Frame) bool { return r.ended[1] })
			}
			if got := !c.alive(&r); got != ends || r.status[1] == "" {
				t.Errorf("the connection ends: %t, %+v", got, r)
			}
		})
	}
}
