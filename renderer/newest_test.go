package renderer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestSlowReplica: a replica that is too slow for a page is not asked again until it has answered; one that is asked
// by a request that ends before, or searches for long, is.
func TestSlowReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ref   page.Ref
		left  time.Duration // of the request
		fails error         // at once; nil: it does not answer
		want  bool          // it counts as failing
	}{
		"a page that takes too long":         {page.Home(), time.Minute, nil, true},
		"a page whose request ends":          {page.Home(), replicaTimeout / 2, nil, false},
		"a connection that breaks":           {page.Home(), time.Minute, io.EOF, true},
		"a search that takes too long":       {page.Search("lake"), time.Minute, nil, false},
		"a page that cannot be read from it": {page.Home(), time.Minute, errors.New("no such row"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := &replica{}
				one.asked.Store(true)
				s := &Service{outage: newOutage(), replicas: &replicas{all: []*replica{one}}, log: slog.New(logged{t})}
				ctx, cancel := context.WithTimeout(t.Context(), c.left)
				defer cancel()
				fromReplicas(ctx, s, []page.Ref{c.ref}, reading[int]{
					ask: func(ctx context.Context, _ *Pages, _ []page.Ref) ([]int, error) {
						if c.fails != nil {
							return nil, c.fails
						}
						<-ctx.Done()
						return nil, ctx.Err()
					},
				})
				if got := one.fails.Load(); got != c.want {
					t.Errorf("it fails: %t, want %t", got, c.want)
				}
			})
		})
	}
}

// TestReplicaGone: what a replica does not answer another one is asked for before the primary, which may be gone with
// the first.
func TestReplicaGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone, there := &replica{maker: &Pages{}}, &replica{maker: &Pages{}}
		gone.asked.Store(true)
		there.asked.Store(true)
		s := &Service{outage: newOutage(), replicas: &replicas{all: []*replica{gone, there}}, log: slog.New(logged{t})}
		how := reading[int]{ask: func(ctx context.Context, from *Pages, _ []page.Ref) ([]int, error) {
			if from == there.maker {
				return []int{1}, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		for range 4 { // each has its turn
			if got := fromReplicas(t.Context(), s, []page.Ref{page.Home()}, how); len(got) != 1 {
				t.Fatal("the replica that is there is not asked")
			}
		}
		if !gone.fails.Load() || there.fails.Load() {
			t.Error("the wrong one counts as gone")
		}
	})
}

// TestReplicaBehindWithoutPrimary: replicas that have fallen behind, as the primary is gone, are asked once it is found
// to be gone; while it is slow alone they are not.
func TestReplicaBehindWithoutPrimary(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]bool{"the primary is gone": false, "the primary is slow": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, err := newMetrics(nil)
				if err != nil {
					t.Fatal(err)
				}
				one := &replica{maker: &Pages{}}
				one.asked.Store(true)
				one.behind.Store(int64(2 * maxBehind))
				s := &Service{cfg: Config{ReadTimeout: defaultReadTimeout}, outage: newOutage(), metrics: m,
					replicas: &replicas{all: []*replica{one}}, maker: &Pages{}, log: slog.New(logged{t})}
				s.outage.note(nil)
				answers, sources, err := newest(t.Context(), s, []page.Ref{page.Home()}, make([]wire.Conditions, 1),
					reading[int]{ask: func(ctx context.Context, from *Pages, _ []page.Ref) ([]int, error) {
						if from == one.maker {
							return []int{1}, nil
						}
						<-ctx.Done()
						if slow {
							s.outage.note(nil) // another query has succeeded
							return nil, &pgconn.PgError{Code: "57014"}
						}
						return nil, ctx.Err()
					}})
				if slow && !isUnavailable(err) ||
					!slow && (err != nil || len(answers) != 1 || sources[0] != wire.SourceReplica) {
					t.Errorf("%v of %q, %v", answers, sources, err)
				}
			})
		})
	}
}
