package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// unsent is an error of pgx before it has sent anything.
type unsent struct{}

func (unsent) Error() string     { return "unsent" }
func (unsent) SafeToRetry() bool { return true }

func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	pg := func(code string) error { return &pgconn.PgError{Code: code} }
	for _, c := range []struct {
		name                                      string
		err                                       error
		transient, reread, retryable, unavailable bool
	}{
		{"none", nil, false, false, false, false},
		{"end of the connection", io.ErrUnexpectedEOF, true, true, true, true},
		{"nobody listens", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, true, true, true},
		{"starting up", pg("57P03"), true, true, true, true},
		{"too many connections", pg("53300"), true, false, false, true},
		{"closed connection", net.ErrClosed, true, true, true, true},
		{"no route", &net.OpError{Op: "read", Err: syscall.EHOSTUNREACH}, true, true, true, true},
		{"nothing was sent", unsent{}, true, true, true, true},
		{"protocol violation", pg("08P01"), false, false, false, false},
		{"no primary", fmt.Errorf("%w, %w", context.DeadlineExceeded, ErrStandby), true, true, true, true},
		{"connection failure", pg("08006"), true, true, true, true},
		{"deadline", context.DeadlineExceeded, false, false, false, true},
		{"a read that timed out", &net.OpError{Op: "read", Err: context.DeadlineExceeded}, false, false, false, true},
		{"canceled", context.Canceled, false, false, false, true},
		{"statement timeout", pg("57014"), false, false, true, true},
		{"deadlock", pg("40P01"), false, false, true, true},
		{"serialization failure", pg("40001"), false, false, true, true},
		{"disk full", pg("53100"), false, false, false, true},
		{"wrong password", pg("28P01"), false, false, false, false},
		{"syntax error", pg("42601"), false, false, false, false},
		{"unknown host", &net.DNSError{Err: "no such host", IsNotFound: true}, false, false, false, false},
		{"another", errors.New("another"), false, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.err
			if err != nil {
				err = fmt.Errorf("read: %w", err)
			}
			if IsTransient(err) != c.transient || isRetryableRead(err) != c.reread ||
				isRetryable(err) != c.retryable || IsUnavailable(err) != c.unavailable {
				t.Errorf("transient %t, read again %t, retryable %t, unavailable %t", IsTransient(err),
					isRetryableRead(err), isRetryable(err), IsUnavailable(err))
			}
		})
	}
}
