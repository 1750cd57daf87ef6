//go:build linux

package deploy_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/lab/person"
	"flickrkillr/schema/page"
)

// changes are actions of somebody who makes one album after the other. Each is tried again with its key until it is
// acknowledged.
type changes struct {
	owner string
	stop  context.CancelFunc
	ended sync.WaitGroup
	turn  chan struct{} // has a place, which an action takes, or hold

	mu       sync.Mutex
	titles   []string      // of albums whose making was acknowledged
	versions []int64       // of the owner's scope, in the order of the acknowledgements
	again    int           // attempts that were refused, or without an answer
	times    []time.Time   // of the acknowledgements
	longest  time.Duration // from the first attempt of an action to its acknowledgement
	done     chan struct{} // closed at the next acknowledgement of an action that began after it was made
	doneFrom time.Time
}

// soon is how long somebody waits before the next change who makes a few.
const soon = 60 * time.Millisecond

// change signs somebody up by a host's edge, who changes something, waits, and changes something again.
func (o *operator) change(t testing.TB, host *fleet.Machine, wait time.Duration) *changes {
	t.Helper()
	edge, name := "http://"+host.Address, "w"+strings.ToLower(rand.Text()[:12])
	form := url.Values{"name": {name}, "password": {rand.Text()}}
	web := person.Client{HTTP: o.client}
	answer, err := web.Post(t.Context(), edge, page.PrivateSignUp.Path(), person.Session{}, form)
	if err != nil || answer.Session.Token == "" {
		t.Fatalf("sign up: %v, %+v", err, answer)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := &changes{owner: name, stop: cancel, turn: make(chan struct{}, 1)}
	t.Cleanup(c.end)
	c.ended.Go(func() {
		pause := time.NewTicker(wait)
		defer pause.Stop()
		for n := 0; n < 900; n++ { // one may have 1,000
			select {
			case <-ctx.Done():
				return
			case c.turn <- struct{}{}:
			}
			title, began := fmt.Sprintf("Album %d", n), time.Now()
			form := url.Values{"key": {rand.Text()}, "do": {"make"}, "title": {title}, "visibility": {"public"}}
			version, err := int64(0), error(nil)
			for again := false; ; again = true {
				if version, err = o.makeAlbum(ctx, edge, "user."+name, answer.Session, form); err == nil {
					break
				}
				if ctx.Err() != nil {
					return
				}
				c.mu.Lock()
				c.again++
				if !again && c.again < 20 {
					t.Logf("%s: %v", title, err)
				}
				c.mu.Unlock()
				select {
				case <-ctx.Done():
					return
				case <-pause.C:
				}
			}
			c.acknowledged(title, version, began)
			<-c.turn
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
		}
	})
	return c
}

// makeAlbum makes an album, and returns the version of its owner that the answer names.
func (o *operator) makeAlbum(
	ctx context.Context, edge, scope string, as person.Session, form url.Values,
) (version int64, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, edge+page.PrivateAlbums.Path(),
		strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", edge)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Cookie", as.Cookie)
	resp, err := o.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var done struct {
		Changed map[string]int64 `json:"changed"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &done) != nil || done.Changed[scope] == 0 {
		return 0, fmt.Errorf("%d, Retry-After %q: %.300s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
	}
	return done.Changed[scope], nil
}

func (c *changes) acknowledged(title string, version int64, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.titles, c.versions = append(c.titles, title), append(c.versions, version)
	c.times, c.longest = append(c.times, time.Now()), max(c.longest, time.Since(began))
	if c.done != nil && began.After(c.doneFrom) {
		close(c.done)
		c.done = nil
	}
}

// await waits until an action is acknowledged that begins from now on.
func (c *changes) await(t testing.TB) {
	t.Helper()
	done := make(chan struct{})
	c.mu.Lock()
	c.done, c.doneFrom = done, time.Now()
	c.mu.Unlock()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("no action is acknowledged any more")
	}
}

// hold waits until the present action is acknowledged, and lets no other begin before f has returned: what is waited
// for there takes no albums.
func (c *changes) hold(t testing.TB, f func()) {
	t.Helper()
	select {
	case c.turn <- struct{}{}:
	case <-time.After(2 * time.Minute):
		t.Fatal("an action is not acknowledged")
	}
	f()
	<-c.turn
}

// pauseSince is the longest time between two acknowledgements since a moment.
func (c *changes) pauseSince(moment time.Time) (longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, at := range c.times {
		if i > 0 && at.After(moment) {
			longest = max(longest, at.Sub(c.times[i-1]))
		}
	}
	return longest
}

// refused is how many attempts were refused, or got no answer.
func (c *changes) refused() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.again
}

func (c *changes) end() {
	c.stop()
	c.ended.Wait()
}

// lost ends the changes and compares them with the database: how many that were acknowledged are not there once, and
// how many versions were given out again.
func (c *changes) lost(t testing.TB, o *operator) (lost, twice int) {
	t.Helper()
	c.end()
	conn := o.connect(t)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT title FROM albums JOIN users ON users.id = albums.user_id
		WHERE users.name = $1`, c.owner)
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, title := range there {
		counts[title]++
	}
	for i, title := range c.titles {
		if counts[title] != 1 {
			lost++
		}
		if i > 0 && c.versions[i] <= c.versions[i-1] {
			twice++
		}
	}
	t.Logf("%d changes were acknowledged, %d attempts refused, the longest took %.1f s", len(c.titles), c.again,
		c.longest.Seconds())
	return lost, twice
}
