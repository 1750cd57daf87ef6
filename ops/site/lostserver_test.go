package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

// busServers is three servers of NATS, of which each has routes to the others.
func busServers(t *testing.T) []*stack.NATS {
	t.Helper()
	var routes [3]string
	for i := range routes {
		var err error
		if routes[i], err = stack.ResolvePort("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	var servers []*stack.NATS
	for i, own := range routes {
		_, text, _ := net.SplitHostPort(own)
		port, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, testenv.NATSWith(t, stack.NATSConfig{Dir: t.TempDir(), Cluster: &stack.NATSCluster{
			Server: fmt.Sprintf("server-%d", i), Port: port, Routes: []string{routes[(i+1)%3], routes[(i+2)%3]},
		}}))
	}
	return servers
}

// TestBusLosesServers: a site knows three servers of NATS and loses each in turn. Writes go on, and edges show them.
// The stream had one replica before, as that of a site with one server.
func TestBusLosesServers(t *testing.T) {
	t.Parallel()
	servers := busServers(t)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	env := services(t)
	pool := testenv.Pool(t, env.Postgres)
	if _, err := pool.Exec(t.Context(), photo); err != nil {
		t.Fatal(err)
	}
	bus := testenv.Connect(t, strings.Join(urls, ","))
	js, err := jetstream.New(bus)
	if err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, func() error { // the servers elect a leader first
		config := wire.ChangesConfig()
		config.Replicas = 1
		_, err := js.CreateStream(t.Context(), config)
		return err
	})
	s := New(Config{
		Services: stack.Env{NATS: strings.Join(urls, ","), Seeds: env.Seeds, Postgres: env.Postgres},
		Pictures: filepath.Join(t.TempDir(), "pictures"), Addr: "127.0.0.1:0",
		Renderer: renderer.Config{Replicas: 3},
	})
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range []Role{Renderer, Edge} {
		if err := s.Add(role, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WaitReady(soon(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{wire.StreamChanges, wire.BucketStream(wire.BucketSessions)} {
		until(t, time.Minute, func() error { return replicated(t.Context(), js, name) })
	}
	for i, server := range servers {
		server.Stop()
		title := fmt.Sprintf("Without server %d", i)
		until(t, time.Minute, func() error { return edit(t.Context(), bus, title) })
		until(t, time.Minute, func() error { // a leader that is lost is elected anew in 4 to 11 s
			status, tier, body := answer(t, s.URLs()[0]+"/photo/1")
			if status != http.StatusOK || tier == "stale" || !strings.Contains(body, title) {
				return fmt.Errorf("status %d from %s, not as %q", status, tier, title)
			}
			return nil
		})
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		// The next one is lost when this one has all again: of three only one may be away.
		until(t, time.Minute, func() error { return replicated(t.Context(), js, wire.StreamChanges) })
	}
}

// replicated returns nil when a stream is on three servers, and two of them have all that the leader has.
func replicated(ctx context.Context, js jetstream.JetStream, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	if info.Config.Replicas != 3 || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
		return fmt.Errorf("%s has %d replicas: %+v", name, info.Config.Replicas, info.Cluster)
	}
	for _, r := range info.Cluster.Replicas {
		if !r.Current || r.Offline {
			return fmt.Errorf("%s is not complete at %s", name, r.Name)
		}
	}
	return nil
}

// edit gives the photo a title. It is done once, however often it is asked for.
func edit(ctx context.Context, nc *nats.Conn, title string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	msg := nats.NewMsg(wire.ActionSubject(wire.ActionPhotoEdit))
	msg.Header.Set(wire.HeaderKey, strings.ReplaceAll(title, " ", "-"))
	msg.Data = []byte(url.Values{"id": {"1"}, "title": {title}}.Encode())
	reply, err := nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return errors.Join(errors.New("edit"), err)
	}
	return wire.ErrorOf(reply)
}
