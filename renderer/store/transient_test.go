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

func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	pg := func(code string) error { return &pgconn.PgError{Code: code} }
	for _, c := range []struct {
		name                              string
		err                               error
		transient, retryable, unavailable bool
	}{
		{"none", nil, false, false, false},
		{"end of the connection", io.ErrUnexpectedEOF, true, true, true},
		{"nobody listens", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true, true, true},
		{"starting up", pg("57P03"), true, true, true},
		{"too many connections", pg("53300"), true, true, true},
		{"connection failure", pg("08006"), true, true, true},
		{"deadline", context.DeadlineExceeded, false, false, true},
		{"a read that timed out", &net.OpError{Op: "read", Err: context.DeadlineExceeded}, false, false, true},
		{"canceled", context.Canceled, false, false, true},
		{"statement timeout", pg("57014"), false, true, true},
		{"deadlock", pg("40P01"), false, true, true},
		{"serialization failure", pg("40001"), false, true, true},
		{"disk full", pg("53100"), false, false, true},
		{"wrong password", pg("28P01"), false, false, false},
		{"syntax error", pg("42601"), false, false, false},
		{"unknown host", &net.DNSError{Err: "no such host", IsNotFound: true}, false, false, false},
		{"another", errors.New("another"), false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.err
			if err != nil {
				err = fmt.Errorf("read: %w", err)
			}
			if IsTransient(err) != c.transient || isRetryable(err) != c.retryable ||
				IsUnavailable(err) != c.unavailable {
				t.Errorf("transient %t, retryable %t, unavailable %t", IsTransient(err), isRetryable(err),
					IsUnavailable(err))
			}
		})
	}
}
