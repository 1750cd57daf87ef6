package renderer

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// RefusedError is a database address that can never work: wrong password, unknown user, database or host. Run returns
// it; it waits for a PostgreSQL that does not answer yet.
type RefusedError struct {
	User, Addr, Database string // Addr is host:port
	Err                  error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("renderer: PostgreSQL at %s refuses user %q for database %q: %v", e.Addr, e.User, e.Database,
		e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// refused returns err as a *RefusedError if it is one, else nil.
func refused(pool *pgxpool.Pool, err error) error {
	var pg *pgconn.PgError
	var unknown *net.DNSError
	switch {
	case errors.As(err, &pg):
		switch pg.Code {
		// wrong password, not authorized, no such database, no right to connect
		case "28P01", "28000", "3D000", "42501":
			err = errors.New(pg.Message)
		default:
			return nil
		}
	case errors.As(err, &unknown) && unknown.IsNotFound && onlyHost(pool.Config().ConnConfig):
		err = unknown
	default:
		return nil
	}
	c := pool.Config().ConnConfig
	return &RefusedError{User: c.User, Addr: databaseAddr(pool), Database: c.Database, Err: err}
}

// databaseAddr is the host:port of a pool's database.
func databaseAddr(pool *pgxpool.Pool) string {
	c := pool.Config().ConnConfig
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
}

// onlyHost reports whether an address names one host. That it is tried with TLS and without makes a fallback, too.
func onlyHost(c *pgx.ConnConfig) bool {
	return !slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != c.Host })
}
