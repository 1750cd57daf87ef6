package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// BusServers are several servers of NATS that are one bus, each a process of this program, for tests and instruments
// that kill them.
type BusServers struct {
	seeds   Seeds
	servers []*busServer
}

type busServer struct {
	name    string
	url     string
	command func() *exec.Cmd
	child   *Child
}

const (
	busServerRetire = 30 * time.Second
	busServerStop   = 10 * time.Second // a server that is told to stop has so long
	busServerAsk    = time.Second      // one question whether the servers are ready
	busServerWait   = 100 * time.Millisecond
)

// StartBusServers starts n servers, and returns when they have elected a leader. program is the path of killr ("": this
// program), dir an empty directory for streams and seeds.
func StartBusServers(ctx context.Context, n int, program, dir string, output io.Writer) (b *BusServers, err error) {
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("start servers of NATS: %w", err)
		}
	}
	b = &BusServers{}
	if b.seeds, err = MakeSeeds(dir); err != nil {
		return nil, fmt.Errorf("start servers of NATS: %w", err)
	}
	clients, routes := make([]string, n), make([]string, n)
	for i := range n {
		var failed error
		clients[i], err = ResolvePort("127.0.0.1:0")
		routes[i], failed = ResolvePort("127.0.0.1:0")
		if err = errors.Join(err, failed); err != nil {
			return nil, fmt.Errorf("start servers of NATS: %w", err)
		}
	}
	for i := range n {
		name := fmt.Sprintf("server-%d", i)
		_, client, _ := net.SplitHostPort(clients[i])
		_, cluster, _ := net.SplitHostPort(routes[i])
		args := []string{"bus", "serve", "--data", dir, "--log-level", "error", "--port", client, "--dir",
			filepath.Join(dir, name)}
		if n > 1 {
			args = append(args, "--name", name, "--cluster", cluster)
		}
		for other := range n {
			if other != i {
				args = append(args, "--route", routes[other])
			}
		}
		b.servers = append(b.servers, &busServer{name: name, url: "nats://" + clients[i], command: func() *exec.Cmd {
			cmd := exec.Command(program, args...)
			cmd.Env = Env{}.Environ(os.Environ())
			cmd.Stdout, cmd.Stderr = output, output
			return cmd
		}})
	}
	for _, s := range b.servers {
		if err := s.start(); err != nil {
			return nil, errors.Join(err, b.Stop())
		}
	}
	if err := b.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start servers of NATS: %w", err), b.Stop())
	}
	return b, nil
}

func (s *busServer) start() (err error) {
	if s.child, err = StartChild(s.command(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("start %s of NATS: %w", s.name, err)
	}
	return nil
}

// Seeds are those by which roles sign in.
func (b *BusServers) Seeds() Seeds { return b.seeds }

// URL is the addresses of all servers, that of the i-th one first.
func (b *BusServers) URL(i int) string {
	urls := make([]string, len(b.servers))
	for n := range urls {
		urls[n] = b.servers[(i+n)%len(b.servers)].url
	}
	return strings.Join(urls, ",")
}

// Kill kills the i-th server, and starts it again after the time down, or when ctx ends.
func (b *BusServers) Kill(ctx context.Context, i int, down time.Duration) error {
	s := b.servers[i%len(b.servers)]
	if err := s.child.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.child.Done()
	sleep.For(ctx, down)
	return s.start()
}

// Replace tells the i-th server to retire, and starts it again when it has ended.
func (b *BusServers) Replace(ctx context.Context, i int) error {
	s := b.servers[i%len(b.servers)]
	if err := s.child.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	select {
	case <-s.child.Done():
		return errors.Join(s.child.Err(), s.start())
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(busServerRetire):
		return fmt.Errorf("%s of NATS has not retired within %s", s.name, busServerRetire)
	}
}

// Leader is which server leads the stream of changes, once one does.
func (b *BusServers) Leader(ctx context.Context) (i int, err error) {
	var leader string
	err = b.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, wire.StreamChanges)
		if err != nil {
			return err
		}
		if info := stream.CachedInfo(); info.Cluster != nil {
			leader = info.Cluster.Leader
		}
		if leader == "" {
			return errors.New("the stream of changes has no leader")
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	i = slices.IndexFunc(b.servers, func(s *busServer) bool { return s.name == leader })
	if i < 0 {
		return 0, fmt.Errorf("no server of NATS is called %s", leader)
	}
	return i, nil
}

// ready returns when JetStream answers.
func (b *BusServers) ready(ctx context.Context) error {
	return b.ask(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.AccountInfo(ctx)
		return err
	})
}

// ask asks JetStream as an edge, again and again until it has an answer.
func (b *BusServers) ask(ctx context.Context, question func(context.Context, jetstream.JetStream) error) error {
	env := Env{NATS: b.URL(0), Seeds: b.seeds}
	bus, err := JoinBus(env.Login(wire.RoleEdge), "servers of NATS", nil)
	if err != nil {
		return err
	}
	defer bus.Close()
	js, err := jetstream.New(bus.Conn)
	if err != nil {
		return err
	}
	for {
		asking, cancel := context.WithTimeout(ctx, busServerAsk)
		err := question(asking, js)
		cancel()
		if err == nil {
			return nil
		}
		if !sleep.For(ctx, busServerWait) {
			return cmp.Or(err, nats.ErrTimeout)
		}
	}
}

// Stop ends all servers.
func (b *BusServers) Stop() error {
	var errs []error
	for _, s := range b.servers {
		if s.child != nil {
			errs = append(errs, s.child.stop(syscall.SIGTERM, busServerStop))
		}
	}
	return errors.Join(errs...)
}
