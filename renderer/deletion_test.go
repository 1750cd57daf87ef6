package renderer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/password"
	"flickrkillr/schema/wire"
)

// TestDeletion: a form that is sent twice at the same moment leads to the receipt both times, the edges are asked until
// each has said that it shows nothing, however often somebody reads the receipt, and a revocation waits for its bucket.
func TestDeletion(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	secret := "a walk to the lake"
	hash := password.Hash(secret, "key")
	const account = "INSERT INTO accounts (user_id, password) VALUES (1, $1)"
	if _, err := st.pool.Exec(t.Context(), account, hash); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(st.nc)
	if err != nil {
		t.Fatal(err)
	}
	st.listEdges(t, "edge.a.1", "edge.silent.2")
	var asked atomic.Int32
	knows := time.UnixMicro(time.Now().UnixMicro())
	says := func(edge string) {
		t.Helper()
		st.edgeKnows(t, edge, func(wire.GoneQuestion) time.Time {
			asked.Add(1)
			return knows
		})
	}
	says("edge.a.1")
	s := st.start(t, nil).Service

	tx, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "LOCK accounts"); err != nil {
		t.Fatal(err)
	}
	second := make(chan *nats.Msg, 1)
	header := nats.Header{wire.HeaderKey: {"twice"}, wire.HeaderUser: {"1"}}
	go func() {
		reply, err := st.nc.RequestMsg(&nats.Msg{Subject: wire.ActionSubject(wire.ActionDelete), Header: header,
			Data: []byte(encoded("password", secret))}, 20*time.Second)
		if err != nil {
			t.Error(err)
			reply = &nats.Msg{}
		}
		second <- reply
	}()
	testenv.Eventually(t, "the second form has looked for a receipt", func() bool {
		return st.scalar(t, "SELECT count(*) FROM pg_locks WHERE relation = 'accounts'::regclass AND NOT granted") > 0
	})
	receipt := receiptID("twice")
	var outcome string
	err = tx.QueryRow(t.Context(), "SELECT outcome FROM delete_account('first', sha256('a'), 1, $1, $2, 2, 3)", hash,
		receiptHash(receipt)).Scan(&outcome)
	if err != nil || outcome != "done" {
		t.Fatal(outcome, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reply := <-second; wire.ErrorOf(reply) != nil || reply.Header.Get(wire.HeaderReceipt) != receipt {
		t.Errorf("the second of two forms: %v, receipt %q", wire.ErrorOf(reply), reply.Header.Get(wire.HeaderReceipt))
	}

	read := func() string {
		out, err := (&actionRun{Service: s}).receipt(t.Context(), receipt)
		if err != nil {
			t.Error(err)
			return ""
		}
		said := fmt.Sprint(out.Complete)
		for _, e := range out.Edges {
			said += fmt.Sprintf(" %s %t", e.Edge, e.Since.Equal(knows))
		}
		return said
	}
	testenv.Eventually(t, "an edge has said so, and another one not", func() bool {
		return read() == "false a:1 true silent:2 false"
	})
	before := asked.Load()
	for range 50 {
		read()
	}
	if more := asked.Load() - before; more > 5 {
		t.Errorf("edges are asked %d times while a receipt is read 50 times", more)
	}
	says("edge.silent.2")
	says("edge.unlisted.3")
	testenv.Eventually(t, "all edges have said so", func() bool {
		return st.scalar(t, "SELECT count(*) FROM deletions WHERE edges_know_at IS NOT NULL") == 1
	})
	// Without the bucket, which may be made anew just now, the revocation waits.
	if said := read(); said != "false a:1 true silent:2 true unlisted:3 true" {
		t.Errorf("the receipt without a bucket of sessions: %s", said)
	}
	if n := st.scalar(t, "SELECT count(*) FROM revocations"); n != 1 {
		t.Errorf("%d revocations wait for the bucket", n)
	}
	sessions, err := js.CreateKeyValue(t.Context(), wire.SessionsConfig())
	if err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the receipt is complete", func() bool {
		return read() == "true a:1 true silent:2 true unlisted:3 true"
	})
	if _, err := sessions.Get(t.Context(), wire.RevocationKey(1)); errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Error("the sessions are not revoked")
	}
}
