package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// traceKey finds in a context the trace that a query belongs to, and in a connection's data the one that it is set to.
type traceKey struct{}

// tracedAs names the trace in a connection's data.
const tracedAs = "killr trace"

// WithTrace returns a context whose queries Postgres shows as those of a trace: the application_name of the connection
// is then "killr" and the trace's id, in pg_stat_activity and, by %a, in its log. "" is no trace.
//
// A comment in the text would make each statement another one, which Postgres would have to plan anew. So a connection
// that is taken for a trace costs one more statement, and another one when it is next taken without; others cost
// nothing.
func WithTrace(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, id)
}

// setTrace has a connection that is taken from a pool show the trace of ctx. name is the application's without one. A
// connection on which that fails is replaced.
func setTrace(name string) func(context.Context, *pgx.Conn) (bool, error) {
	return func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		want, _ := ctx.Value(traceKey{}).(string)
		data := conn.PgConn().CustomData()
		if shown, _ := data[tracedAs].(string); shown == want {
			return true, nil
		}
		text := name
		if want != "" {
			text += " " + want
		}
		if _, err := conn.Exec(ctx, "SELECT set_config('application_name', $1, false)", text); err != nil {
			return false, ctx.Err()
		}
		data[tracedAs] = want
		return true, nil
	}
}
