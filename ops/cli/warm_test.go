package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/nats-io/nats.go"

	"flickrkillr/cachefill"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/wire"
)

func TestWarmSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	bus := testenv.NATS(t)
	warm := func(args ...string) (status int, said string) {
		status, stdout, stderr := killr(t.Context(), append([]string{"--data", t.TempDir(), "warm"}, args...)...)
		return status, stdout + stderr
	}
	for _, c := range []struct {
		what string
		args []string
		says string
	}{
		{"nothing was started", nil, "run `killr up` first"},
		{"no NATS", []string{"--nats", "nats://127.0.0.1:1"}, "NATS at nats://127.0.0.1:1 does not answer: "},
		{"no list", testenv.NATSFlags(t, bus, wire.RoleOperator), "no popularity list"},
	} {
		if status, said := warm(c.args...); status != 1 || !strings.Contains(said, c.says) {
			t.Errorf("%s: status %d, said %q", c.what, status, said)
		}
	}
	storeList(t, testenv.Connect(t, bus), 3)
	status, said := warm(testenv.NATSFlags(t, bus, wire.RoleOperator)...)
	if status != 1 || !strings.Contains(said, "no cachefill is on the bus") {
		t.Errorf("no cachefill: status %d, said %q", status, said)
	}
}

func TestWarmFillsPopularPages(t *testing.T) {
	t.Parallel()
	bus, addr := testenv.NATS(t), testenv.Memcached(t)
	nc := testenv.Connect(t, bus)
	render(t, nc, page.Photo(7))
	startCachefill(t, bus, addr)
	list := storeList(t, nc, 20) // after the replay of the cachefill's own start has found no list
	client := memcache.New(addr)
	client.Timeout = 10 * time.Second
	defer client.Close()

	status, stdout, stderr := killr(
		t.Context(), append(
			[]string{"--data", t.TempDir(), "warm", "--rate", "5000"}, testenv.NATSFlags(t, bus, wire.RoleOperator)...,
		)...,
	)
	if status != 1 || !strings.Contains(stderr, "not in memcached: 1 of 20 pages") ||
		!strings.Contains(stdout, "1 failed, such as page.photo.7") {
		t.Errorf("one page fails: status %d\n%s%s", status, stdout, stderr)
	}
	if !strings.Contains(stdout, "20 pages to fill, the most popular first: page.photo.1 (20), page.photo.2 (19)") ||
		!strings.Contains(stdout, "19 filled and 0 held already") {
		t.Errorf("it said\n%s", stdout)
	}
	for _, popular := range list {
		if _, err := client.Get(popular.Ref.Key()); (err == nil) == (popular.Ref == page.Photo(7)) {
			t.Errorf("%s: %v", popular.Ref, err)
		}
	}
}

// storeList stores a popularity list of n photos, as an edge does.
func storeList(t *testing.T, nc *nats.Conn, n int64) (list []wire.Popular) {
	t.Helper()
	for i := range n {
		list = append(list, wire.Popular{Ref: page.Photo(i + 1), Count: n - i})
	}
	if err := popularlist.Put(t.Context(), nc, popularlist.Key("here", "80"), list); err != nil {
		t.Fatal(err)
	}
	return list
}

// render answers for every page but one.
func render(t *testing.T, nc *nats.Conn, broken page.Ref) {
	t.Helper()
	for _, subject := range []string{"page.>", wire.SubjectAssets} {
		_, err := nc.QueueSubscribe(subject, wire.QueueRenderer, func(m *nats.Msg) {
			switch m.Subject {
			case wire.SubjectAssets:
				_ = m.Respond(nil)
			case broken.Subject():
				_ = nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrInternal))
			default:
				reply := &wire.Reply{Key: m.Subject, Status: 200, MaxAge: wire.PageAge, ReadAt: time.Now(),
					Body: []byte(m.Subject)}
				_ = m.Respond(reply.Encode())
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// startCachefill returns when it has found the empty memcached and nothing to replay.
func startCachefill(t *testing.T, bus, addr string) {
	t.Helper()
	f, err := cachefill.New(
		cachefill.Config{
			NATS: testenv.ConnectAs(t, bus, wire.RoleCachefill), Memcached: []string{addr}, Timeout: 10 * time.Second,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	nc := testenv.Connect(t, bus)
	testenv.Eventually(
		t,
		"the cachefill has replayed what an empty memcached lacks",
		func() bool { return replays(t, nc) == 1 },
	)
}

// replays asks the cachefill how often it has found a memcached empty and filled it, as `nats micro stats` does.
func replays(t *testing.T, nc *nats.Conn) int {
	t.Helper()
	msg, err := nc.Request("$SRV.STATS.cachefill", nil, 10*time.Second)
	if errors.Is(err, nats.ErrNoResponders) { // it is still starting
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	var stats struct {
		Endpoints []struct {
			Data struct {
				Replays int `json:"replays"`
			} `json:"data"`
		} `json:"endpoints"`
	}
	if err := json.Unmarshal(msg.Data, &stats); err != nil {
		t.Fatalf("%v: %s", err, msg.Data)
	}
	n := 0
	for _, e := range stats.Endpoints {
		n = max(n, e.Data.Replays)
	}
	return n
}
