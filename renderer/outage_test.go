package renderer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// A full Postgres refuses at once. It is asked again at a pace that it bears, and restartLimit counts from its first
// refusal. In fake time.
func TestFullPostgresIsAnOutageAfterRestartLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := Service{outage: newOutage()}
		asked := 0
		refuse := func(context.Context) error {
			asked++
			return &pgconn.PgError{Code: "53300"}
		}
		begun := time.Now()
		err := s.untilOutage(t.Context(), time.Minute, refuse)
		if took := time.Since(begun); !errors.Is(err, wire.ErrUnavailable) || took <= restartLimit ||
			took > restartLimit+retryPause {
			t.Errorf("given up after %s: %v", took, err)
		}
		if most := int(restartLimit/retryPause) + 2; asked < 2 || asked > most {
			t.Errorf("asked %d times, want at most %d", asked, most)
		}
		asked = 0
		if err := s.untilOutage(t.Context(), time.Minute, refuse); !errors.Is(err, wire.ErrUnavailable) || asked != 0 {
			t.Errorf("in the outage: asked %d times, want none; %v", asked, err)
		}
		probing, stop := context.WithCancel(t.Context())
		probed := make(chan struct{})
		go func() {
			defer close(probed)
			s.outage.probe(probing, func(context.Context) error { return nil })
		}()
		defer func() { stop(); <-probed }()
		if err := s.untilOutage(t.Context(), time.Minute, func(context.Context) error { return nil }); err != nil ||
			s.outage.length() != 0 {
			t.Errorf("after it: %v, away for %s", err, s.outage.length())
		}
		ctx, cancel := context.WithTimeout(t.Context(), restartLimit/2)
		defer cancel()
		begun = time.Now()
		if err := s.untilOutage(ctx, time.Minute, refuse); !errors.Is(err, wire.ErrUnavailable) ||
			time.Since(begun) != restartLimit/2 {
			t.Errorf("with a deadline: after %s: %v", time.Since(begun), err)
		}
	})
}

// A query was answered just after the one that is now given up began: Postgres is frozen all the same. One that was
// answered a moment ago says that it is not. In fake time.
func TestSilentPostgresIsAnOutage(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	for _, c := range []struct {
		what     string
		answered time.Duration // before the timeout
		want     bool
	}{
		{"an answer just after the query began", 990 * time.Millisecond, true},
		{"an answer just before its timeout", 10 * time.Millisecond, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutage()
				time.Sleep(timeout - c.answered)
				o.note(nil)
				time.Sleep(c.answered)
				o.silent(timeout)
				if got := o.long(); got != c.want {
					t.Errorf("declared: %t, want %t", got, c.want)
				}
			})
		})
	}
}

// TestReadFails: a page of which no row can be read is an error, not a panic.
func TestReadFails(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s := &Service{outage: newOutage(), cfg: Config{ReadTimeout: time.Minute}, maker: &Pages{store: store.New(pool)},
		replicas: &replicas{}}
	for _, path := range []string{"/", "/photos/ansel", "/photo/1", "/tag/lake"} {
		ref, err := page.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		drafts, err := s.read(ctx, []page.Ref{ref}, make([]wire.Conditions, 1))
		if err == nil || drafts != nil {
			t.Errorf("%s: %v, %v", path, drafts, err)
		}
	}
}
