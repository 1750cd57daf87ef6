package renderer

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flickrkillr/schema/page"
)

// heldPool is a pool whose one worker waits in its turn until the test lets it go on.
func heldPool(t *testing.T, limit, batch int) (p *pool, turns chan []page.Ref, goOn chan struct{}) {
	t.Helper()
	return heldPoolOf(t, 1, limit, batch)
}

func heldPoolOf(t *testing.T, workers, limit, batch int) (p *pool, turns chan []page.Ref, goOn chan struct{}) {
	t.Helper()
	turns, goOn = make(chan []page.Ref, 100), make(chan struct{})
	p = newPool("test", workers, limit, batch, func(int) {}, func(_ context.Context, jobs []*job) {
		turns <- refsOf(jobs)
		<-goOn
	})
	p.start(t.Context())
	t.Cleanup(func() {
		p.close()
		close(goOn)
		p.running.Wait()
	})
	return p, turns, goOn
}

func refsOf(jobs []*job) []page.Ref {
	refs := make([]page.Ref, len(jobs))
	for i, j := range jobs {
		refs[i] = j.ref
	}
	return refs
}

func ask(p *pool, ref page.Ref) *job {
	return p.put(&job{request: request{ref: ref, arrived: time.Now()}})
}

func TestPoolTakesTogetherWhatOneQueryReads(t *testing.T) {
	t.Parallel()
	p, turns, goOn := heldPool(t, 100, 4)
	ask(p, page.Home())
	<-turns // the worker is busy: what comes now waits
	for _, ref := range []page.Ref{
		page.User("aa"), page.Photo(1), page.User("bb"), page.User("aa").Before(9), page.Photo(1), page.User("aa"),
		page.User("cc"), page.User("dd"),
	} {
		if excess := ask(p, ref); excess != nil {
			t.Fatalf("no room for %s", excess.ref)
		}
	}
	for _, want := range [][]page.Ref{
		{page.User("aa"), page.User("bb"), page.User("aa").Before(9), page.User("aa")}, // no more than 4
		{page.Photo(1), page.Photo(1)}, // the same page, whatever its kind
		{page.User("cc"), page.User("dd")},
	} {
		goOn <- struct{}{}
		if got := <-turns; !slices.Equal(got, want) {
			t.Errorf("turn = %v, want %v", got, want)
		}
	}
}

// TestPoolGathersWhileAQueryIsUnderWay: what can be joined waits for company only while somebody else's query runs, and
// not for long. Time passes in the bubble only where the test sleeps.
func TestPoolGathersWhileAQueryIsUnderWay(t *testing.T) {
	t.Parallel()
	users := make([]page.Ref, batchFull)
	for i := range users {
		users[i] = page.User("user-" + string(rune('a'+i)))
	}
	for name, test := range map[string]func(t *testing.T, p *pool, turns chan []page.Ref, goOn chan struct{}){
		"for so long": func(t *testing.T, p *pool, turns chan []page.Ref, _ chan struct{}) {
			ask(p, users[0])
			time.Sleep(batchWindow - time.Nanosecond)
			ask(p, users[1])
			synctest.Wait()
			if len(turns) > 0 {
				t.Fatalf("%v did not wait for company", <-turns)
			}
			time.Sleep(time.Nanosecond)
			if got := <-turns; !slices.Equal(got, users[:2]) {
				t.Errorf("turn = %v", got)
			}
		},
		"until they are enough": func(t *testing.T, p *pool, turns chan []page.Ref, _ chan struct{}) {
			for i, ref := range users {
				if synctest.Wait(); len(turns) > 0 {
					t.Fatalf("a turn of %d", i)
				}
				ask(p, ref)
			}
			synctest.Wait()
			if len(turns) == 0 || !slices.Equal(<-turns, users) {
				t.Error("no turn of all that wait")
			}
		},
		"until the query is done": func(t *testing.T, p *pool, turns chan []page.Ref, goOn chan struct{}) {
			ask(p, users[0])
			goOn <- struct{}{}
			synctest.Wait()
			if len(turns) == 0 || !slices.Equal(<-turns, users[:1]) {
				t.Error("no turn when the query was done")
			}
		},
		"and holds up nothing else": func(t *testing.T, p *pool, turns chan []page.Ref, _ chan struct{}) {
			ask(p, users[0])
			ask(p, page.Home())
			synctest.Wait()
			if len(turns) != 2 {
				t.Errorf("%d turns, want one with the front page", len(turns))
			}
		},
		"of its own kind": func(t *testing.T, p *pool, turns chan []page.Ref, _ chan struct{}) {
			ask(p, page.Photo(7))
			synctest.Wait()
			if len(turns) == 0 || !slices.Equal(<-turns, []page.Ref{page.Photo(7)}) {
				t.Error("a photo's page waits while users are read")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, turns, goOn := heldPoolOf(t, 3, 100, 32)
				ask(p, page.User("first"))
				synctest.Wait()
				if len(turns) == 0 {
					t.Fatal("an idle pool waits")
				}
				<-turns
				test(t, p, turns, goOn)
			})
		})
	}
}

func TestPoolTurnsAwayWhatItHasNoRoomFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, turns, goOn := heldPool(t, 2, 1)
		ask(p, page.Photo(1))
		<-turns
		ask(p, page.Photo(2))
		ask(p, page.Photo(3))
		if excess := ask(p, page.Photo(4)); excess == nil || excess.ref != page.Photo(4) {
			t.Errorf("a burst turned away %v, want the newcomer", excess)
		}
		time.Sleep(2 * overloadAfter) // in the bubble: no time passes
		if excess := ask(p, page.Photo(5)); excess == nil || excess.ref != page.Photo(2) {
			t.Errorf("lasting overload turned away %v, want the one that waited longest", excess)
		}
		goOn <- struct{}{}
		if got := <-turns; got[0] != page.Photo(5) {
			t.Errorf("lasting overload served %v, want the newest", got)
		}
		goOn <- struct{}{}
		if got := <-turns; got[0] != page.Photo(3) {
			t.Errorf("then served %v", got)
		}
		ask(p, page.Photo(6)) // the queue was empty: in order again
		ask(p, page.Photo(7))
		goOn <- struct{}{}
		if got := <-turns; got[0] != page.Photo(6) {
			t.Errorf("after the overload served %v, want the first", got)
		}
	})
}

// TestPromptPool: a prompt pool holds a burst. In an overload it refuses on arrival what would wait for long, answers
// the others in their order, and its workers are never idle.
func TestPromptPool(t *testing.T) {
	t.Parallel()
	const each = 10 * time.Millisecond
	type wait struct{ from, queued time.Duration }
	// run offers n requests, one each pause, to a pool whose one worker has already answered some.
	run := func(t *testing.T, n int, pause time.Duration) (waits []wait, refused int) {
		epoch := time.Now()
		p := newPool("test", 1, 2, 1, func(int) {}, func(_ context.Context, jobs []*job) {
			waits = append(waits, wait{jobs[0].arrived.Sub(epoch), time.Since(jobs[0].arrived)})
			time.Sleep(each)
		})
		p.prompt = true
		p.start(t.Context())
		const first = 2
		for range first {
			ask(p, page.Home())
			time.Sleep(2 * each)
		}
		begun := time.Since(epoch)
		for range n {
			if excess := ask(p, page.Home()); excess != nil {
				if refused++; !excess.arrived.Equal(time.Now()) {
					t.Error("a request is refused that was admitted before")
				}
			}
			time.Sleep(pause)
		}
		p.close()
		p.running.Wait()
		waits = waits[first:]
		for i := range waits {
			waits[i].from -= begun
		}
		return waits, refused
	}
	t.Run("a burst", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			if _, refused := run(t, int(burstWait/each), 0); refused > 0 {
				t.Errorf("%d requests are refused", refused)
			}
		})
	})
	t.Run("an overload", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			const n, pause = 2000, each / 5
			waits, refused := run(t, n, pause)
			if most := int(n*pause/each + burstWait/each); refused < n-most || len(waits) < int(n*pause/each) {
				t.Errorf("%d of %d are answered, %d refused, in the time of %d", len(waits), n, refused, most)
			}
			last := time.Duration(-1)
			for _, w := range waits {
				if w.from < last {
					t.Fatal("they are not answered in their order")
				}
				last = w.from
				if w.queued > burstWait+each || w.from > 2*burstWait && w.queued > overloadWait+each {
					t.Fatalf("one that came after %v waited for %v", w.from, w.queued)
				}
			}
		})
	})
}

// While Postgres restarts, more requests may wait, and until the queue is as short again as it usually may be. They are
// answered in their order.
func TestPoolHoldsTheRequestsOfARestart(t *testing.T) {
	t.Parallel()
	p, turns, goOn := heldPool(t, 2, restartQueue)
	restarting := true
	p.patient = func() bool { return restarting }
	ask(p, page.Home())
	<-turns // the worker is busy: what comes now waits
	var want []page.Ref
	put := func() *job {
		want = append(want, page.Photo(int64(len(want)+1)))
		return ask(p, want[len(want)-1])
	}
	for n := range restartQueue - 1 {
		if put() != nil {
			t.Fatalf("request %d is refused while Postgres restarts", n)
		}
	}
	restarting = false
	if put() != nil {
		t.Fatal("a request is refused before the queue of the restart is answered")
	}
	if excess := ask(p, page.Photo(1e9)); excess == nil || excess.ref != page.Photo(1e9) {
		t.Fatalf("the queue of a restart has no limit: %v", excess)
	}
	goOn <- struct{}{}
	if got := <-turns; !slices.Equal(got, want) {
		t.Errorf("the worker took %v, want all in their order", got)
	}
	ask(p, page.Photo(1))
	ask(p, page.Photo(2))
	if ask(p, page.Photo(3)) == nil {
		t.Error("after the restart the queue is as long as during it")
	}
	goOn <- struct{}{}
	<-turns
}

func TestPoolFinishesItsQueueBeforeItEnds(t *testing.T) {
	t.Parallel()
	var served int
	begun, goOn := make(chan struct{}), make(chan struct{})
	p := newPool("test", 1, 10, 1, func(int) {}, func(context.Context, []*job) {
		if served++; served == 1 {
			close(begun)
			<-goOn
		}
	})
	p.start(t.Context())
	ask(p, page.Photo(1))
	<-begun
	ask(p, page.Photo(2))
	ask(p, page.Photo(3))
	p.close()
	p.close()
	if excess := ask(p, page.Photo(4)); excess == nil {
		t.Error("a closed pool took a request")
	}
	close(goOn)
	p.running.Wait()
	if served != 3 {
		t.Errorf("served %d requests, want the 3 that were held", served)
	}
}

func TestActionsAreNeverTakenTogether(t *testing.T) {
	t.Parallel()
	p, turns, goOn := heldPool(t, 100, 4)
	p.put(&job{request: request{action: &action{}, arrived: time.Now()}})
	<-turns
	p.put(&job{request: request{action: &action{}, arrived: time.Now()}})
	p.put(&job{request: request{action: &action{}, arrived: time.Now()}})
	for range 2 {
		goOn <- struct{}{}
		if got := <-turns; len(got) != 1 {
			t.Errorf("a turn of %d actions", len(got))
		}
	}
}

// TestOrderedPool: in an overload the oldest request is answered first, and the newest is refused.
func TestOrderedPool(t *testing.T) {
	t.Parallel()
	p := newPool("test", 1, 2, 1, func(int) {}, nil)
	p.ordered = true
	long := time.Now().Add(-time.Minute)
	first, second, third := &job{}, &job{}, &job{}
	first.arrived, second.arrived, third.arrived = long, long, time.Now()
	for _, j := range []*job{first, second} {
		if p.put(j) != nil {
			t.Fatal("a request is refused although there is room")
		}
	}
	if p.put(third) != third {
		t.Error("the request that came last is not the one refused")
	}
	if got := p.take(nil); len(got) != 1 || got[0] != first {
		t.Errorf("taken first: %v", got)
	}
}

// TestPicturesShareRowsAndNoDecoding: one query reads the rows of several pictures. A worker makes one picture at a
// time, so that it holds one decoded original and leaves the others to other workers.
func TestPicturesShareRowsAndNoDecoding(t *testing.T) {
	t.Parallel()
	a, b := page.Image(strings.Repeat("a", 26), 320), page.Image(strings.Repeat("b", 26), 320)
	for alone, want := range map[bool][][]page.Ref{false: {{a, b, a}}, true: {{a, a}, {b}}} {
		p, turns, goOn := heldPool(t, 100, 4)
		p.alone = alone
		ask(p, page.Home())
		<-turns
		for _, ref := range []page.Ref{a, b, a} {
			ask(p, ref)
		}
		for _, turn := range want {
			goOn <- struct{}{}
			if got := <-turns; !slices.Equal(got, turn) {
				t.Errorf("alone %t: turn = %v, want %v", alone, got, turn)
			}
		}
	}
}

// TestPoolPerLink: visitors of one link leave room to those of another, and to all else.
func TestPoolPerLink(t *testing.T) {
	t.Parallel()
	p, turns, _ := heldPool(t, 3, 1)
	p.perLink = 2
	by := func(link string) *job {
		return &job{request: request{action: &action{link: link}, arrived: time.Now()}}
	}
	p.put(by("one"))
	<-turns // the worker is busy: what comes now waits
	for i := range 2 {
		if excess := p.put(by("one")); excess != nil {
			t.Errorf("visitor %d is refused", i)
		}
	}
	if third := by("one"); p.put(third) != third {
		t.Error("one link has the whole queue")
	}
	if excess := p.put(by("another")); excess != nil {
		t.Error("a visitor of another link is refused")
	}
	q, turns, _ := heldPool(t, 3, 1)
	q.perLink = 2
	ask(q, page.Home())
	<-turns
	for i := range 3 { // owners, and pages of everybody
		if excess := q.put(by("")); excess != nil {
			t.Errorf("request %d, by no link, is refused", i)
		}
	}
}
