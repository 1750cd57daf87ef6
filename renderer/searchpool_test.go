package renderer

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
)

// Searches that wait for Postgres keep no other page waiting: they have workers and connections of their own.
func TestPagesDoNotWaitForSearches(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, func(c *Config) { c.PageWorkers, c.SearchWorkers = 1, 1 })
	ctx := context.Background()
	tx, err := st.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "LOCK TABLE photo_search, search_words IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	var searches []<-chan *nats.Msg
	for i := range 8 {
		searches = append(searches, st.ask(t, page.Search(fmt.Sprint("light ", i)).Subject(), nil))
	}
	loadOf(t, s, page.KindSearch.String(), 1, 7)
	for _, ref := range []page.Ref{page.User("ansel"), page.Home(), page.About()} {
		if reply := st.get(t, ref); reply.Status != 200 {
			t.Errorf("%s: status %d", ref, reply.Status)
		}
	}
	if r := total(s, page.KindSearch); r.InFlight+r.Queued == 0 {
		t.Error("the pages were answered after the searches")
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	for _, answer := range searches {
		receive(t, answer)
	}
}
