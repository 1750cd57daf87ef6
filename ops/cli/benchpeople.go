package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/person"
	"flickrkillr/ops/seed"
)

// Bounds of the people of a benchmark.
const (
	benchAccounts = 20 // for visitors who are signed in: an address has 100 sign-ins a minute
	benchSharing  = 50 // people of a storm who share an address, at most
	benchSignIn   = 30 * time.Second
	benchCleanUp  = 30 * time.Second
)

// withPeople adds the accounts that a benchmark needs, signs its visitors in, and removes all of that afterwards.
func (c *benchCommand) withPeople(s *session, cfg *bench.Config, run func() error) error {
	if c.SignedIn == 0 && c.SignIns == 0 {
		return run()
	}
	if err := c.findDatabase(s.data); err != nil {
		return err
	}
	return withPool(s.ctx, c.Postgres, func(pool *pgxpool.Pool) (err error) {
		visitors := 0
		if c.SignedIn > 0 {
			visitors = benchAccounts
		}
		accounts, remove, err := seed.AddTemporary(s.ctx, pool, visitors+c.SignIns)
		if err != nil {
			return err
		}
		var sessions []begun
		defer func() {
			for _, step := range []func(context.Context) error{
				func(ctx context.Context) error { return endAll(ctx, sessions) }, remove,
			} {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), benchCleanUp)
				err = errors.Join(err, step(ctx))
				cancel()
			}
		}()
		client := person.Client{HTTP: &http.Client{Timeout: benchSignIn, CheckRedirect: lastResponse}}
		defer client.HTTP.CloseIdleConnections()
		for i, a := range accounts[:visitors] {
			edge := cfg.Edges[i%len(cfg.Edges)]
			session, err := client.SignIn(s.ctx, edge, a.Name, a.Password)
			if err != nil {
				return err
			}
			sessions = append(sessions, begun{edge, session})
			cfg.Cookies = append(cfg.Cookies, session.Cookie)
		}
		if c.SignIns > 0 {
			cfg.Storm = func(ctx context.Context) bench.Storm {
				storm, more := signInAtOnce(ctx, cfg.Edges, accounts[visitors:])
				sessions = append(sessions, more...)
				return storm
			}
		}
		return run()
	})
}

func lastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// begun is a session that a benchmark has begun.
type begun struct {
	edge string
	person.Session
}

// endAll ends sessions: they would be stored for 30 days.
func endAll(ctx context.Context, sessions []begun) error {
	client := person.Client{HTTP: &http.Client{CheckRedirect: lastResponse}}
	defer client.HTTP.CloseIdleConnections()
	var errs []error
	for _, one := range sessions {
		errs = append(errs, client.SignOut(ctx, one.edge, one.Session))
	}
	return errors.Join(errs...)
}

// signInAtOnce signs all accounts in at once. On the loopback interface they come from many addresses, as a site limits
// what one address may guess.
func signInAtOnce(ctx context.Context, edges []string, accounts []seed.Account) (_ bench.Storm, sessions []begun) {
	var mu sync.Mutex
	took, outcomes := bench.NewTimer(), map[string]int64{}
	var all sync.WaitGroup
	began := time.Now()
	for i, a := range accounts {
		edge := edges[i%len(edges)]
		all.Go(func() {
			transport := transportFrom(edge, i)
			defer transport.CloseIdleConnections()
			client := person.Client{HTTP: &http.Client{
				Timeout: benchSignIn, CheckRedirect: lastResponse, Transport: transport,
			}}
			start := time.Now()
			answer, err := client.Post(ctx, edge, "/signin", person.Session{},
				url.Values{"name": {a.Name}, "password": {a.Password}})
			mu.Lock()
			defer mu.Unlock()
			took.Record(time.Since(start))
			switch {
			case err != nil:
				outcomes["no answer"]++
			case answer.Session.Token == "":
				outcomes[fmt.Sprintf("status %d", answer.Status)]++
			default:
				outcomes["signed in"]++
				sessions = append(sessions, begun{edge, answer.Session})
			}
		})
	}
	all.Wait()
	return bench.Storm{What: fmt.Sprintf("%d people signed in at once", len(accounts)), Outcomes: outcomes,
		Seconds: time.Since(began).Seconds(), Times: took.Times()}, sessions
}

// transportFrom makes connections for the i-th person.
func transportFrom(edge string, i int) *http.Transport {
	dialer := &net.Dialer{Timeout: benchSignIn}
	if u, err := url.Parse(edge); err == nil {
		if to, err := netip.ParseAddr(u.Hostname()); err == nil && to.Is4() && to.IsLoopback() {
			n := i / benchSharing
			dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
		}
	}
	return &http.Transport{DialContext: dialer.DialContext, DisableCompression: true}
}
