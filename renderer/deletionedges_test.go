package renderer

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// listEdges makes the bucket of popularity lists, in which these edges have one.
func (st *site) listEdges(t testing.TB, edges ...string) {
	t.Helper()
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	popular, err := js.CreateKeyValue(t.Context(), wire.PopularConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, edge := range edges {
		if _, err := popular.Put(t.Context(), edge, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// edgeKnows has an edge answer since when it shows nothing of what it is asked about.
func (st *site) edgeKnows(t testing.TB, edge string, since func(wire.GoneQuestion) time.Time) {
	t.Helper()
	_, err := st.nc.Subscribe(wire.SubjectGone, func(m *nats.Msg) {
		question, err := wire.DecodeGoneQuestion(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		data, err := wire.GoneAnswer{Edge: edge, Since: since(question)}.Encode()
		if err = errors.Join(err, m.Respond(data)); err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		err = st.nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestEdgesAreAskedAtOnce: edges are asked about several deletions in one turn, so one of them that is silent delays
// many receipts by what it delays one. What each says counts for the deletion that it was asked about.
func TestEdgesAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.listEdges(t, "edge.silent.2")
	st.exec(t, `INSERT INTO deletions (user_id, account, name, version, receipt, rows_gone_at)
		SELECT 1, false, 'person' || n, n, sha256(n::text::bytea), now() FROM generate_series(1, 40) n`)
	var mu sync.Mutex
	asked := map[string]int{}
	st.edgeKnows(t, "edge.a.1", func(question wire.GoneQuestion) time.Time {
		mu.Lock()
		defer mu.Unlock()
		asked[question.Scope]++
		return time.UnixMicro(question.Version)
	})
	s := st.service(t, nil)
	said := func() int64 {
		return st.scalar(t, `SELECT count(*) FROM deletion_edges e JOIN deletions d ON d.id = e.deletion_id
			WHERE e.edge = 'edge.a.1' AND e.learned_at = to_timestamp(0) + d.version * interval '1 us'`)
	}
	for turn, want := range []int64{deletionsAtOnce, 40} {
		more, err := s.askEdges(t.Context())
		n := st.scalar(t, "SELECT count(*) FROM deletions WHERE asked_at IS NOT NULL")
		if err != nil || !more || n != want {
			t.Errorf("turn %d asks about %d deletions, %t, %v; want %d", turn, n, more, err, want)
		}
	}
	testenv.Eventually(t, "each question is answered for itself", func() bool {
		if _, err := s.askEdges(t.Context()); err != nil {
			t.Fatal(err)
		}
		return said() == 40
	})
	if n := st.scalar(t, "SELECT count(*) FROM deletions WHERE edges_know_at IS NOT NULL"); n != 0 {
		t.Errorf("%d deletions are known to all edges, of which one is silent", n)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 40 {
		t.Errorf("edges were asked about %d scopes", len(asked))
	}
	st.exec(t, "DELETE FROM deletions")
	if more, err := s.askEdges(t.Context()); err != nil || more {
		t.Errorf("without deletions: %t, %v", more, err)
	}
}
