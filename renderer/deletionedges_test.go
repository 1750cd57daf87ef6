package renderer

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestEdgesAreAskedAtOnce: edges are asked about several deletions in one turn, so one of them that is silent delays
// many receipts by what it delays one. What each says counts for the deletion that it was asked about.
func TestEdgesAreAskedAtOnce(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	popular, err := js.CreateKeyValue(t.Context(), wire.PopularConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := popular.Put(t.Context(), "edge.silent.2", nil); err != nil {
		t.Fatal(err)
	}
	st.exec(t, `INSERT INTO deletions (user_id, account, name, version, receipt, rows_gone_at)
		SELECT 1, false, 'person' || n, n, sha256(n::text::bytea), now() FROM generate_series(1, 40) n`)
	var mu sync.Mutex
	asked := map[string]int{}
	if _, err := st.nc.Subscribe(wire.SubjectGone, func(m *nats.Msg) {
		question, err := wire.DecodeGoneQuestion(m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		asked[question.Scope]++
		mu.Unlock()
		data, err := wire.GoneAnswer{Edge: "edge.a.1", Since: time.UnixMicro(question.Version)}.Encode()
		if err != nil || m.Respond(data) != nil {
			t.Error("an edge cannot answer")
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := st.nc.Flush(); err != nil {
		t.Fatal(err)
	}
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
