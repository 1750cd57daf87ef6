package renderer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/testenv"
)

// What can work later is waited for; what cannot is refused, with a message that names everything but the password.
func TestRefused(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(context.Background(), "postgres://joe:secret@photos.invalid:5432/photos")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, c := range []struct {
		err  error
		says string // "" is waited for
	}{
		{&net.DNSError{Err: "no such host", Name: "photos.invalid", IsNotFound: true}, "no such host"},
		{&net.DNSError{Err: "server misbehaving", Name: "photos.invalid", IsTemporary: true}, ""},
		{&pgconn.PgError{Code: "28P01", Message: "password authentication failed"}, "password authentication failed"},
		{&pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}, ""},
		{errors.New("connection refused"), ""},
	} {
		got := refused(pool, fmt.Errorf("connect: %w", c.err))
		if c.says == "" {
			if got != nil {
				t.Errorf("%v is refused: %v", c.err, got)
			}
			continue
		}
		if got == nil || !strings.Contains(got.Error(), c.says) || strings.Contains(got.Error(), "secret") ||
			!strings.Contains(got.Error(), `photos.invalid:5432 refuses user "joe" for database "photos"`) {
			t.Errorf("%v gives %v", c.err, got)
		}
	}
}

// A renderer that gets no connection says what to raise, and serves once there is one.
func TestNoConnectionLeft(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	database := st.pool.Config().ConnConfig.Database
	limit := func(n int) {
		t.Helper()
		sql := fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", database, n)
		if _, err := st.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	limit(0) // the pool has its connection already
	r := launch(t, st.service(t, func(c *Config) { c.Pool = testenv.Pool(t, st.pool.Config().ConnString()) }))
	testenv.Within(t, 30*time.Second, "it says what to raise", func() bool {
		err := r.Ready()
		return err != nil && strings.Contains(err.Error(), "raise its max_connections")
	})
	limit(-1)
	testenv.Within(t, 30*time.Second, "it serves", func() bool { return r.Ready() == nil })
}
