package upload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestMakesWay: while a visitor waits, chunks wait for the moment in which none does, and go one at a time; but not for
// ever. Without visitors none waits.
func TestMakesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := NewVisitors()
		stored := make(chan func(), 10)
		chunk := func(ctx context.Context) {
			if done, err := v.makeWay(ctx); err == nil {
				stored <- done
			}
		}
		underWay := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if len(stored) != want {
				t.Errorf("%s %d chunks are under way, want %d", when, len(stored), want)
			}
		}
		for range 3 {
			go chunk(t.Context())
		}
		underWay(3, "without visitors")
		for range 3 {
			(<-stored)()
		}

		v.Arrive()
		left, leave := context.WithCancel(t.Context())
		go chunk(left)
		synctest.Wait()
		for range 2 {
			go chunk(t.Context())
		}
		underWay(0, "while a visitor waits")
		leave()
		underWay(1, "after one was given up")
		(<-stored)()
		v.Leave()
		time.Sleep(rest)
		underWay(1, "after the visitor")
		(<-stored)()
		time.Sleep(rest - time.Nanosecond)
		underWay(0, "during the rest")
		time.Sleep(time.Nanosecond)
		underWay(1, "after the rest")
		(<-stored)()

		v.Arrive()
		go chunk(t.Context())
		underWay(0, "while another visitor waits")
		time.Sleep(rest + heldAtMost)
		underWay(1, "after the longest wait")
		slow := <-stored
		for range 2 {
			go chunk(t.Context())
		}
		time.Sleep(turnAtMost + heldAtMost)
		underWay(1, "while one takes long")
		slow()
		underWay(1, "after the one that took long")
		(<-stored)()
		time.Sleep(rest + heldAtMost)
		underWay(1, "after both")
		(<-stored)()
		v.Leave()
		time.Sleep(visitorsLast)
		for range 2 {
			go chunk(t.Context())
		}
		underWay(2, "once no visitor is expected")
	})
}
