package migrations

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/jackc/pgx/v5/pgconn"
)

// A migration that met other transactions' locks is tried again, any other failure is not.
func TestRetry(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	locked := fmt.Errorf("partial migration error: %w", &pgconn.PgError{Code: lockNotAvailable})
	victim := &pgconn.PgError{Code: deadlock}
	for name, c := range map[string]struct {
		fails []error // of the attempts, the last again and again
		calls int
		want  error
	}{
		"at once":     {[]error{nil}, 1, nil},
		"after locks": {[]error{locked, victim, nil}, 3, nil},
		"refused":     {[]error{locked, refused}, 2, refused},
		"never":       {[]error{victim}, attempts, victim},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := retry(t.Context(), func() error {
					calls++
					return c.fails[min(calls, len(c.fails))-1]
				})
				if calls != c.calls || !errors.Is(err, c.want) {
					t.Errorf("%d calls, %v; want %d, %v", calls, err, c.calls, c.want)
				}
			})
		})
	}
}
