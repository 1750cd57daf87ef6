package site

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

func TestFaultsOfServices(t *testing.T) {
	t.Parallel()
	m := testenv.MemcachedServer(t)
	if err := flushMemcached(t.Context(), []string{m.Addr()}); err != nil {
		t.Error(err)
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := flushMemcached(t.Context(), []string{m.Addr()}); err == nil {
		t.Error("a memcached that is not there was flushed")
	}
	database := testenv.DatabaseURL(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	free := func() (yes bool) {
		const q = `SELECT pg_try_advisory_xact_lock($1)`
		if err := conn.QueryRow(t.Context(), q, store.RelayLock).Scan(&yes); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if !free() {
		t.Fatal("the lock is held before")
	}
	ctx, release := context.WithCancel(t.Context())
	held := make(chan error)
	go func() { held <- holdRelay(ctx, database, time.Hour) }()
	testenv.Eventually(t, "the lock is held", func() bool { return !free() })
	release()
	if err := <-held; err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, "the lock is free again", free)
}
