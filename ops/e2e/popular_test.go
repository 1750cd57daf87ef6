package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/wire"
)

// makePopular requests a path from every edge until it is popular there.
func (s *site) makePopular(client *http.Client, path string) {
	s.t.Helper()
	for _, url := range s.urls {
		for range 12 {
			status, _, _, err := testenv.Fetch(s.t.Context(), client, url+path)
			if err != nil || status != http.StatusOK {
				s.t.Fatalf("%s%s: %d %v", url, path, status, err)
			}
		}
	}
}

// memcached returns a client of memcached.
func (s *site) memcached() *memcache.Client {
	c := memcache.New(s.cache.Addr())
	c.Timeout = 10 * time.Second
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// body is the page of an item, decompressed; nil if the item is missing.
func body(item *memcache.Item, err error) []byte {
	if err != nil {
		return nil
	}
	reply, err := wire.DecodeReply(item.Key, item.Value)
	if err != nil || reply.Encoding != wire.EncodingGzip {
		return nil
	}
	plain, err := (&wire.Gzip{}).Unpack(reply.Body)
	if err != nil {
		return nil
	}
	return plain
}

// titled changes the title of a user's newest public photo, which is on their page.
func (s *site) titled(name string, title string) {
	s.t.Helper()
	s.exec(
		`UPDATE photos SET title = $1 WHERE id = (SELECT max(p.id) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $2 AND NOT private)`,
		title, name,
	)
}

// TestPopularPagesAreThereBeforeAnyRequest: memcached holds popular pages after a change, after a flush, and by hand.
func TestPopularPagesAreThereBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1)
	client, cache := newClient(t, 2), s.memcached()
	key := page.User(s.names[0]).Key()
	holds := func(text string) func() bool {
		return func() bool { return bytes.Contains(body(cache.Get(key)), []byte(text)) }
	}
	s.makePopular(client, "/photos/"+s.names[0])
	testenv.Eventually(t, "memcached holds the popular page", holds("</html>"))
	s.titled(s.names[0], "Told by nobody")
	testenv.Eventually(t, "memcached holds the changed page, for which nobody has asked", holds("Told by nobody"))

	testenv.Eventually(t, "the edges have kept their lists", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		list, err := popularlist.All(ctx, s.nc)
		return err == nil && list[0].Ref == page.User(s.names[0])
	})
	if err := cache.FlushAll(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "a flushed memcached holds the page again", holds("Told by nobody"))
	out, err := exec.CommandContext(
		t.Context(), testenv.Program(t), "warm", "--nats", s.bus.URL(), "--data", t.TempDir(),
		"--nats-seed", testenv.Seeds(t)[wire.RoleOperator],
	).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the most popular first: page.user."+s.names[0]) {
		t.Errorf("killr warm: %v\n%s", err, out)
	}
}

// BenchmarkCommitToRefilled is how long after a commit memcached holds the new page of a popular user, without any
// visitor in between. It counts from the commit, which psql makes and the relay finds at its next poll, and from when
// the relay has published it, which for a renderer's own write is a few milliseconds after the commit. Visitors request
// the page before the next change: a page that is not requested is not refilled each time.
//
//	go test ./ops/e2e -run '^$' -bench CommitToRefilled -benchtime 500x
func BenchmarkCommitToRefilled(b *testing.B) {
	s := newSite(b, 2, 2)
	client, cache := newClient(b, 2), s.memcached()
	key := page.User(s.names[0]).Key()
	s.makePopular(client, "/photos/"+s.names[0])
	testenv.Eventually(b, "memcached holds the popular page", func() bool {
		_, err := cache.Get(key)
		return err == nil
	})
	told := make(chan time.Time, 1024)
	if _, err := s.nc.Subscribe(wire.SubjectBatch, func(*nats.Msg) { told <- time.Now() }); err != nil {
		b.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		b.Fatal(err)
	}
	// edges count once a second
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(20 * time.Millisecond) {
		s.makePopular(client, "/photos/"+s.names[0])
	}
	var whole, since []time.Duration
	for i := range b.N {
		title := fmt.Sprintf("Title %d of many", i)
		s.titled(s.names[0], title)
		committed := time.Now()
		notice := <-told
		for !bytes.Contains(body(cache.Get(key)), []byte(title)) {
			if time.Since(committed) > 10*time.Second {
				b.Fatalf("change %d is not there after 10 s", i)
			}
			time.Sleep(200 * time.Microsecond)
		}
		whole, since = append(whole, time.Since(committed)), append(since, time.Since(notice))
		s.makePopular(client, "/photos/"+s.names[0])
		time.Sleep(20 * time.Millisecond) // changes come one by one
	}
	reportTimes(b, "commit", whole)
	reportTimes(b, "told", since)
	b.ReportMetric(0, "ns/op")
}
