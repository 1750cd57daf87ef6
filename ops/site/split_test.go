package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

// gate is a route between two servers of NATS, which a test cuts.
type gate struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

func newGate(t *testing.T, port int) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, target: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), conns: map[net.Conn]bool{}}
	g.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			g.running.Go(func() { g.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		g.set(true)
		g.running.Wait()
	})
	return g
}

// keep notes a connection, or closes it while the gate is shut.
func (g *gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		_ = c.Close()
		return false
	}
	g.conns[c] = true
	return true
}

func (g *gate) serve(from net.Conn) {
	if !g.keep(from) {
		return
	}
	defer from.Close()
	to, err := net.Dial("tcp", g.target)
	if err != nil || !g.keep(to) {
		return
	}
	defer to.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to) // ends when either side does
		_ = from.Close()
	})
	_, _ = io.Copy(to, from)
	_ = to.Close()
	back.Wait()
}

// set shuts the gate, which ends its connections, or opens it.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for c := range g.conns {
			_ = c.Close()
		}
		clear(g.conns)
	}
}

// busCluster is three servers of NATS. The last one can be cut off.
func busCluster(t *testing.T) (urls []string, cut func(bool)) {
	t.Helper()
	var ports [3]int
	for i := range ports {
		addr, err := stack.ResolvePort("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(addr)
		if ports[i], err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
	}
	// Servers tell each other of servers, so the others may connect to the last one too.
	gates := []*gate{newGate(t, ports[0]), newGate(t, ports[1]), newGate(t, ports[2])}
	advertise := [3]string{2: gates[2].listener.Addr().String()}
	routes := [3][]string{
		{net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))},
		{net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))},
		{gates[0].listener.Addr().String(), gates[1].listener.Addr().String()},
	}
	for i := range ports {
		n := testenv.NATSWith(t, stack.NATSConfig{Dir: t.TempDir(), Cluster: &stack.NATSCluster{
			Server: fmt.Sprintf("server-%d", i), Port: ports[i], Routes: routes[i], Advertise: advertise[i],
		}})
		urls = append(urls, n.URL())
	}
	return urls, func(shut bool) {
		for _, g := range gates {
			g.set(shut)
		}
	}
}

// answer is what an edge says to a request for a page.
func answer(t *testing.T, url string) (status int, tier, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("X-Cache"), string(b)
}

// photo is a row for the page that the test visits.
const photo = `
	INSERT INTO users (id, name, display_name, bio) OVERRIDING SYSTEM VALUE VALUES (1, 'ansel', 'Ansel', '');
	INSERT INTO images (id, width, height, color, bytes) VALUES (repeat('a', 26), 900, 600, 0, 1);
	INSERT INTO photos (id, user_id, image_id, width, height, color, title, description, posted_at)
		OVERRIDING SYSTEM VALUE VALUES (1, 1, repeat('a', 26), 900, 600, 0, 'First', '', '2026-01-01 12:00Z');`

// until waits until check returns nil.
func until(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := Await(ctx, nil, func(context.Context) error { return check() }); err != nil {
		t.Fatal(err)
	}
}

// TestSplitBus: when one of three servers of NATS is cut off, its edge shows stale pages and refuses writes. The others
// go on. When the cluster is whole again, the edge shows what was written meanwhile.
func TestSplitBus(t *testing.T) {
	t.Parallel()
	urls, cut := busCluster(t)
	env := services(t)
	pool := testenv.Pool(t, env.Postgres)
	if _, err := pool.Exec(t.Context(), photo); err != nil {
		t.Fatal(err)
	}
	start := func(bus string, roles ...Role) *Site {
		s := New(Config{
			Services: stack.Env{NATS: bus, Seeds: env.Seeds, Postgres: env.Postgres},
			Pictures: filepath.Join(t.TempDir(), "pictures"), Addr: "127.0.0.1:0",
			Renderer: renderer.Config{Replicas: 3},
		})
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		for _, role := range roles {
			if err := s.Add(role, 1); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	bus := testenv.Connect(t, urls[0])
	js, err := jetstream.New(bus)
	if err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, func() error { // as an edge with --acme does
		_, err := js.CreateKeyValue(t.Context(), wire.ACMEConfig())
		return err
	})
	majority, minority := start(urls[0], Renderer, Edge), start(urls[2], Edge)
	for _, s := range []*Site{majority, minority} {
		if err := s.WaitReady(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	const path = "/photo/1"
	here, there := majority.URLs()[0]+path, minority.URLs()[0]+path
	act := func(nc *nats.Conn, title string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		msg := nats.NewMsg(wire.ActionSubject(wire.ActionPhotoEdit))
		msg.Header.Set(wire.HeaderKey, title)
		msg.Data = []byte(url.Values{"id": {"1"}, "title": {title}}.Encode())
		reply, err := nc.RequestMsgWithContext(ctx, msg)
		if err == nil {
			err = wire.ErrorOf(reply)
		}
		return err
	}
	edit := func(title string) {
		t.Helper()
		until(t, 20*time.Second, func() error { return act(bus, title) })
	}
	shows := func(url, title string, limit time.Duration) {
		t.Helper()
		until(t, limit, func() error {
			status, tier, body := answer(t, url)
			if status != http.StatusOK || tier == "stale" || !strings.Contains(body, title) {
				return fmt.Errorf("status %d from %s, not as %q", status, tier, title)
			}
			return nil
		})
	}
	for _, name := range []string{
		wire.StreamChanges, wire.BucketStream(wire.BucketKeys), wire.BucketStream(wire.BucketSessions),
		wire.BucketStream(wire.BucketACME),
	} {
		until(t, 20*time.Second, func() error {
			stream, err := js.Stream(t.Context(), name)
			if err == nil && stream.CachedInfo().Config.Replicas != 3 {
				err = fmt.Errorf("%s has %d replicas", name, stream.CachedInfo().Config.Replicas)
			}
			sessions := name == wire.BucketStream(wire.BucketSessions)
			if err == nil && sessions && stream.CachedInfo().Config.AllowDirect {
				err = errors.New("sessions may be read from any replica")
			}
			return err
		})
	}
	edit("Before")
	shows(here, "Before", 20*time.Second)
	shows(there, "Before", 20*time.Second)

	cut(true)
	until(t, 20*time.Second, func() error {
		status, tier, _ := answer(t, there)
		if status != http.StatusOK {
			t.Errorf("the edge that is cut off answers %d", status)
		}
		if tier != "stale" {
			return errors.New("it says nothing of being cut off")
		}
		return nil
	})
	if status, _, _ := answer(t, minority.URLs()[0]+"/photos/nobody"); status != http.StatusServiceUnavailable {
		t.Errorf("a page that it never had: status %d", status)
	}
	if err := act(testenv.Connect(t, urls[2]), "Refused"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a write where no renderer is: %v", err)
	}
	edit("Meanwhile")
	shows(here, "Meanwhile", 20*time.Second)
	if _, tier, body := answer(t, there); tier != "stale" || !strings.Contains(body, "Before") {
		t.Errorf("cut off, it shows a page from %s", tier)
	}

	cut(false)
	shows(there, "Meanwhile", 10*time.Second)
}
