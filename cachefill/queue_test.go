package cachefill

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func note(ref page.Ref, version int64) *job {
	return &job{Fill: wire.Fill{Ref: ref, Wants: []wire.Dep{{Scope: "user.ansel", Version: version}}},
		reply: []string{"inbox"}}
}

func TestQueueHasOneJobForAPage(t *testing.T) {
	t.Parallel()
	q := newQueue(2)
	ansel := page.User("ansel")
	if _, queued := q.put(note(ansel, 1)); !queued {
		t.Fatal("an empty queue takes no job")
	}
	if ended, queued := q.put(note(ansel, 2)); queued || ended != resultJoined {
		t.Errorf("a second note for the page: %v", ended)
	}
	j := q.take(<-q.ready)
	if len(j.reply) != 2 || len(j.Wants) != 1 || j.Wants[0].Version != 2 {
		t.Errorf("both together became %+v", j)
	}

	// While the page is worked, the next note for it waits; that of another page does not.
	if _, queued := q.put(note(ansel, 3)); !queued {
		t.Fatal("a note for a page that is being filled is lost")
	}
	if _, queued := q.put(note(page.Home(), 1)); !queued {
		t.Fatal("another page finds no room")
	}
	if ref := <-q.ready; ref != page.Home() {
		t.Errorf("%s is handed out twice at the same time", ref)
	}
	q.done(ansel)
	if ref := <-q.ready; ref != ansel {
		t.Errorf("what waited for the end is %s", ref)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	const size = 10
	q := newQueue(size)
	taken := 0
	for i := range int64(3 * size) {
		switch ended, queued := q.put(note(page.Photo(i+1), 1)); {
		case queued:
			taken++
		case ended != resultDropped:
			t.Errorf("note %d ended as %v", i, ended)
		}
	}
	if taken != size || q.len() != size || len(q.rest()) != size {
		t.Errorf("%d jobs taken, %d wait, want %d", taken, q.len(), size)
	}
	dropped := 0
	for range 2 * maxReplies {
		if ended, _ := q.put(note(page.Photo(1), 1)); ended == resultDropped {
			dropped++
		}
	}
	if got := len(q.take(page.Photo(1)).reply); got != maxReplies || dropped == 0 {
		t.Errorf("%d wait for the end of one job, want %d", got, maxReplies)
	}
}

// TestQueueUnderManyWorkers: whatever the order, no page is worked twice at once and none is forgotten.
func TestQueueUnderManyWorkers(t *testing.T) {
	t.Parallel()
	q := newQueue(64)
	const pages, notes = 8, 2000
	var working [pages + 1]atomic.Int32
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for ref := range q.ready {
				if working[ref.ID()].Add(1) > 1 {
					t.Errorf("%s is worked twice at once", ref)
				}
				q.take(ref)
				runtime.Gosched()
				working[ref.ID()].Add(-1)
				q.done(ref)
			}
		})
	}
	for i := range int64(notes) {
		if ended, queued := q.put(&job{Fill: wire.Fill{Ref: page.Photo(i%pages + 1)}}); !queued &&
			ended != resultJoined {
			t.Errorf("note %d ended as %v", i, ended)
		}
	}
	for end := time.Now().Add(20 * time.Second); q.len() > 0; {
		if time.Now().After(end) {
			t.Fatalf("%d jobs are forgotten", q.len())
		}
		time.Sleep(time.Millisecond)
	}
	close(q.ready)
	workers.Wait()
}
