package renderer

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// counter counts the queries that read a user's page.
type counter struct{ queries atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if strings.Contains(q.SQL, "FROM shown_users") || strings.Contains(q.SQL, "JOIN shown_users") {
		c.queries.Add(1)
	}
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestWaitingUserPagesAreReadTogether: what waits while a worker is busy costs one query, and the same page one
// rendering.
func TestWaitingUserPagesAreReadTogether(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	count := &counter{}
	cfg.ConnConfig.Tracer = count
	traced, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(traced.Close)
	st := newSiteOn(t, testenv.NATS(t), testenv.Pool(t, url))
	s := st.start(t, func(c *Config) {
		small(c)
		c.Pool, c.QueueFactor = traced, 100
	})
	release := st.stall(t)
	defer release()
	first := st.ask(t, page.User("ansel").Subject(), nil)
	load(t, s, page.KindUser, 1, 0)
	eventually(t, 10*time.Second, func() error {
		if count.queries.Load() == 0 {
			return errors.New("the first query is not on its way yet")
		}
		return nil
	})

	var answers []<-chan *nats.Msg
	names := []string{"dorothea", "newcomer", "nobody", "ansel", "dorothea"}
	for range 4 {
		for _, name := range names {
			answers = append(answers, st.ask(t, page.User(name).Subject(), nil))
		}
	}
	load(t, s, page.KindUser, 1, len(answers))
	count.queries.Store(0)
	release()
	for i, answer := range answers {
		msg := receive(t, answer)
		reply, err := wire.DecodeReply(page.User(names[i%len(names)]).Key(), msg.Data)
		if err != nil {
			t.Fatal(err, wire.ErrorOf(msg))
		}
		name := names[i%len(names)]
		if _, ok := scopesOf(reply)["user."+name]; !ok {
			t.Errorf("asked for %s, got what depends on %v", name, reply.Depends)
		}
	}
	receive(t, first)
	if got := count.queries.Load(); got != 1 {
		t.Errorf("%d requests that waited cost %d queries, want 1", len(answers), got)
	}
	if r := total(s, page.KindUser); r.Batches != 2 || r.MeanBatch != float64(1+len(answers))/2 {
		t.Errorf("statistics: %d batches of %g", r.Batches, r.MeanBatch)
	}
}
