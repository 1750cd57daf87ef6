package e2e

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Sizes of the data set: small enough to be seeded in seconds, large enough for every kind of page and for listings of
// several pages.
const (
	users  = 60
	photos = 3000
)

// site is a whole Flickr Killr whose roles are processes and whose services are the test's own, so that a test can stop
// any of them.
type site struct {
	t        testing.TB
	bus      *stack.NATS
	cache    *stack.Memcached
	postgres string
	pool     *pgxpool.Pool
	nc       *nats.Conn
	flags    []string // by which a role finds the services
	pictures string
	roles    *roles.Site // processes
	urls     []string    // of the edges, without a slash at the end
	names    []string    // of users with public photos, most photos first
}

// seeded is the data set, drawn once.
var seeded testenv.Prepared

// newSite starts edges, renderers and one cachefill on a seeded database.
func newSite(t testing.TB, edges, renderers int) *site {
	t.Helper()
	pictures := sharedPictures(t)
	postgres := seeded.URL(
		t, func(ctx context.Context, url string) error { return seed(ctx, t, url, pictures, users, photos) },
	)
	return newSiteOn(t, postgres, pictures, edges, renderers)
}

// sharedPictures is the picture store of all sites. The data sets are the same, so it is painted once.
func sharedPictures(t testing.TB) string {
	t.Helper()
	return filepath.Join(testenv.SharedDir(t), "pictures")
}

// seed fills a database.
func seed(ctx context.Context, t testing.TB, postgres, pictures string, users, photos int) error {
	out, err := exec.CommandContext(
		ctx, testenv.Program(t), "seed", "--postgres", postgres, "--pictures", pictures, "--users", fmt.Sprint(users),
		"--photos", fmt.Sprint(photos),
	).CombinedOutput()
	if err != nil {
		return fmt.Errorf("killr seed: %w\n%s", err, out)
	}
	return nil
}

// newSiteOn is newSite with the caller's database.
func newSiteOn(t testing.TB, postgres, pictures string, edges, renderers int) *site {
	t.Helper()
	s := &site{
		t: t, bus: testenv.NATSServer(t), cache: testenv.MemcachedServer(t), postgres: postgres, pictures: pictures,
	}
	s.pool = testenv.Pool(t, s.postgres)
	s.nc = testenv.Connect(t, s.bus.URL())
	s.flags = append(
		testenv.NATSFlags(t, s.bus.URL(), wire.RoleAudit), "--postgres", s.postgres, "--memcached", s.cache.Addr(),
	)
	s.names = column[[]string](s, `SELECT coalesce(array_agg(name ORDER BY photo_count DESC, name), '{}') FROM users
		WHERE photo_count > 0`)[0]
	said := testenv.NewOutput()
	s.roles = roles.New(roles.Config{
		Services: stack.Env{
			NATS: s.bus.URL(), Seeds: testenv.Seeds(t), Postgres: s.postgres, Memcached: []string{s.cache.Addr()},
		}, Pictures: pictures,
		Addr: "127.0.0.1:0", DebugAddr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(said, nil)),
		Processes: &roles.ProcessConfig{Program: testenv.Program(t), Data: filepath.Join(t.TempDir(), "unused"),
			Args:     []string{"--log-format", "json"},
			EdgeArgs: []string{"--no-access-log", "--address-conns", "10000"}, Output: said},
	})
	t.Cleanup(func() {
		if err := s.roles.Stop(); err != nil {
			t.Error(err)
		}
		if line, ok := said.Line("the bus refused"); ok {
			t.Error(line)
		}
		if t.Failed() {
			lines := strings.SplitAfter(said.String(), "\n")
			t.Logf("the roles said:\n%s", strings.Join(lines[max(0, len(lines)-200):], ""))
		}
	})
	s.scale(renderers)
	s.addEdges(edges)
	must(t, s.roles.Add(roles.Cachefill, 1))
	s.waitReady()
	return s
}

// waitReady returns when all roles are ready.
func (s *site) waitReady() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	must(s.t, s.roles.WaitReady(ctx))
}

// addEdges starts n more edges, and returns when they serve pages and rely on their copies.
func (s *site) addEdges(n int) {
	s.t.Helper()
	must(s.t, s.roles.Add(roles.Edge, n))
	s.urls = s.roles.URLs()
	client := newClient(s.t, 1)
	for _, url := range s.urls {
		testenv.Eventually(s.t, "the edge serves pages and trusts its copies", func() bool {
			status, header, _, err := testenv.Fetch(s.t.Context(), client, url+"/about")
			return err == nil && status == http.StatusOK && header.Get("X-Cache") == "near"
		})
	}
}

// scale starts renderers, or stops them by a signal, until there are n, and returns when the bus knows.
func (s *site) scale(n int) {
	s.t.Helper()
	there := len(s.pids(roles.Renderer))
	must(s.t, s.roles.Add(roles.Renderer, max(0, n-there)))
	for range there - n {
		if err := s.roles.Remove(roles.Renderer); err != nil {
			s.t.Errorf("a renderer told to stop: %v", err)
		}
	}
	testenv.Eventually(
		s.t, fmt.Sprintf("%d renderers are on the bus", n), func() bool { return s.countRenderers() == n },
	)
}

// pids are the processes of a role.
func (s *site) pids(role roles.Role) []int {
	s.t.Helper()
	pids, err := s.roles.PIDs(role)
	must(s.t, err)
	return pids
}

// countRenderers counts renderers on the bus, as `nats micro ls` does.
func (s *site) countRenderers() int {
	inbox := s.nc.NewRespInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.nc.PublishRequest("$SRV.PING.renderer", inbox, nil); err != nil {
		return 0
	}
	n := 0
	for {
		msg, err := sub.NextMsg(200 * time.Millisecond)
		if err != nil || msg.Header.Get("Status") != "" {
			return n
		}
		n++
	}
}

// column reads one column of a query.
func column[T any](s *site, sql string, args ...any) []T {
	s.t.Helper()
	rows, err := s.pool.Query(s.t.Context(), sql, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	if len(out) == 0 {
		s.t.Fatalf("no rows: %s", sql)
	}
	return out
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// each is how often a visitor of a load requests a page, unless the answer takes longer. Without a pause visitors take
// all processors from the roles that are started and stopped meanwhile.
const each = 20 * time.Millisecond

// load is visitors who request pages of users, one after another, until it ends. Every answer must be the right page.
type load struct {
	stop     context.CancelFunc
	wg       sync.WaitGroup
	requests atomic.Int64
	mu       sync.Mutex
	failures []string
}

// visitors starts n visitors, spread over the edges. Every other request has a fresh path (a position that need not
// exist), so that renderers have work however warm the caches are.
func (s *site) visitors(n int) *load {
	l := &load{}
	client := newClient(s.t, n)
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	for v := range n {
		l.wg.Go(func() {
			for i := range turns(ctx) {
				name := s.names[(v+i)%len(s.names)]
				path := "/photos/" + name
				if i%2 == 0 {
					path += fmt.Sprintf("/before/%d", 1_000_000+v*100_000+i)
				}
				l.visit(client, s.urls[(v+i)%len(s.urls)]+path, name)
			}
		})
	}
	s.t.Cleanup(func() { l.end() })
	return l
}

// busRequests starts n clients of the bus, who request pages of users as an edge does, but neither hedge nor repeat
// requests.
func (s *site) busRequests(n int) *load {
	l := &load{}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	for c := range n {
		l.wg.Go(func() {
			for i := range turns(ctx) {
				name := s.names[(c+i)%len(s.names)]
				msg, err := s.nc.Request(page.User(name).Subject(), nil, wire.PageDeadline)
				l.requests.Add(1)
				if err == nil && strings.HasPrefix(string(msg.Data), "killr/1 200") &&
					strings.Contains(string(msg.Data), "/photos/"+name) {
					continue
				}
				l.mu.Lock()
				l.failures = append(l.failures, fmt.Sprintf("bus: %s: %v", name, err))
				l.mu.Unlock()
			}
		})
	}
	s.t.Cleanup(func() { l.end() })
	return l
}

// turns counts from 0, one number at each turn of a visitor, until ctx ends.
func turns(ctx context.Context) iter.Seq[int] {
	return func(turn func(int) bool) {
		next := time.NewTicker(each)
		defer next.Stop()
		for i := 0; turn(i); i++ {
			select {
			case <-ctx.Done():
				return
			case <-next.C:
			}
		}
	}
}

func (l *load) visit(client *http.Client, url, name string) {
	// Not the load's own context: the last requests are completed, not cut.
	status, header, body, err := testenv.Fetch(context.Background(), client, url)
	l.requests.Add(1)
	if err == nil && status == http.StatusOK && strings.Contains(body, `/photos/`+name) &&
		strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(
		l.failures,
		fmt.Sprintf(
			"%s: %d %v (%d bytes, request %s, cache %s)", url, status, err, len(body), header.Get("X-Request-Id"),
			header.Get("X-Cache"),
		),
	)
}

// more waits until n more requests have been answered.
func (l *load) more(t testing.TB, n int64) {
	t.Helper()
	want := l.requests.Load() + n
	testenv.Eventually(
		t, fmt.Sprintf("%d more requests are answered", n), func() bool { return l.requests.Load() >= want },
	)
}

// end ends the load and returns the number of requests and the failures.
func (l *load) end() (requests int64, failures []string) {
	l.stop()
	l.wg.Wait()
	return l.requests.Load(), l.failures
}

// mustBeClean ends the load and fails the test for each failed request.
func (l *load) mustBeClean(t testing.TB) {
	t.Helper()
	requests, failures := l.end()
	for i, f := range failures {
		if i == 10 {
			break
		}
		t.Error(f)
	}
	t.Logf("%d of %d requests failed", len(failures), requests)
	if requests == 0 {
		t.Error("nothing was asked")
	}
}
