//go:build linux

package deploy

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestBusConfig starts the three nats-servers of three hosts, as their configurations say: a role signs in to each and
// may do what the table names, and a stream is on all three.
func TestBusConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seeds, err := stack.MakeSeeds(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{Services: Services{NATSSeeds: filepath.Join(dir, seedsBeside)}}
	for n := range 3 { // addresses of this computer that no other test has
		address := fmt.Sprintf("127.77.%d.%d", os.Getpid()%250+1, n+1)
		s.Hosts = append(s.Hosts, Host{fmt.Sprintf("m%d", n+1), address, []wire.Role{roleNATS}})
	}
	ctx := t.Context()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	var servers []*stack.NATSFile
	for _, h := range s.Hosts {
		text, err := s.busConfig(h)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name+".conf")
		own := strings.Replace(string(text), "/var/lib/killr-nats", filepath.Join(dir, h.Name), 1)
		if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
			t.Fatal(err)
		}
		server, err := stack.StartNATSFile(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, server)
		running.Go(func() {
			if err := server.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for _, server := range servers {
		testenv.Within(t, time.Minute, "the servers are ready", func() bool { return server.Ready() == nil })
	}
	for _, h := range s.Hosts {
		nc, err := stack.Connect(stack.Login{
			URL: "nats://" + h.Address + ":4222", Role: wire.RoleRenderer, Seed: seeds[wire.RoleRenderer],
		}, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := nc.JetStream(nats.MaxWait(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "m1" {
			testenv.Within(t, 2*time.Minute, "the servers have a leader and make a stream", func() bool {
				_, err := js.AddStream(&nats.StreamConfig{
					Name: wire.StreamChanges, Subjects: []string{wire.SubjectChanged}, Replicas: 3,
				})
				return err == nil
			})
		}
		info, err := js.StreamInfo(wire.StreamChanges)
		if err != nil {
			t.Fatal(err)
		}
		if info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
			t.Errorf("%s: the stream is on %+v, want three servers", h.Name, info.Cluster)
		}
	}
}

// TestServiceExposure: what services can do on their machine is little, by systemd's own measure.
func TestServiceExposure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, role := range serviceOrder {
		text, err := serviceUnits.ReadFile("services/" + unitOf(role, ""))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, unitOf(role, ""))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager",
			"--threshold=15", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", role, err, out)
		}
	}
}

// TestPostgresEndsWithPatroni: no PostgreSQL goes on without a Patroni. With one that went on, changes would be lost at
// the next failover. If one did nevertheless, the next Patroni would see it.
func TestPostgresEndsWithPatroni(t *testing.T) {
	t.Parallel()
	text, err := serviceUnits.ReadFile("services/" + unitOf(rolePostgres, ""))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, want := range []string{"KillMode=mixed", "ProtectProc=default"} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s has no %s", unitOf(rolePostgres, ""), want)
		}
	}
}

// TestPlanServices: services of a kind begin together, and are restarted one after the other for another configuration
// and for nothing else.
func TestPlanServices(t *testing.T) {
	t.Parallel()
	with := func(config string) want {
		return want{pair: pair{"A", "config-" + config, config}, config: map[wire.Role]string{roleNATS: config},
			count: map[wire.Role]int{roleNATS: 1}}
	}
	in := intent{hosts: []string{"m1", "m2"}, want: map[string]want{"m1": with("c"), "m2": with("c")}}
	have := map[string]*state{"m1": newState(), "m2": newState()}
	stages := planOf(in, have)
	if got := steps(stages[len(stages)-1:]); len(stages) != 2 || len(stages[1]) != 2 ||
		!strings.HasSuffix(strings.Join(got, ", "), "m2 start killr-nats.service") {
		t.Errorf("from nothing: %d stages, %q", len(stages), got)
	}
	have = after(in, have, stages)
	release := with("c")
	release.pair.release = "B"
	in.want = map[string]want{"m1": release, "m2": release}
	for _, s := range steps(planOf(in, have)) {
		if strings.Contains(s, "nats") {
			t.Errorf("another release: %s", s)
		}
	}
	in.want = map[string]want{"m1": with("d"), "m2": with("d")}
	var restarts []int
	for i, lanes := range planOf(in, have) {
		if strings.Contains(strings.Join(steps([]stage{lanes}), " "), "start killr-nats.service") {
			restarts = append(restarts, i)
		}
	}
	if len(restarts) != 2 {
		t.Errorf("another configuration: both restart at the same time: stages %v", restarts)
	}
	in.want["m2"] = want{pair: with("d").pair, config: with("d").config, count: map[wire.Role]int{}, drained: true}
	if got := strings.Join(steps(planOf(in, have)), ", "); !strings.Contains(got, "m2 stop killr-nats.service") {
		t.Errorf("drained: %s", got)
	}
}
