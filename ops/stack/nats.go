package stack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"flickrkillr/schema/wire"
)

// NATSConfig says how the embedded nats-server runs.
type NATSConfig struct {
	Host   string        // "": 127.0.0.1
	Port   int           // 0: any free one
	Dir    string        // where JetStream keeps its streams; needed
	Seeds  Seeds         // by which clients sign in as roles, see MakeSeeds; nil: it asks nobody who they are
	Table  []wire.Access // what each role may do; nil: as in wire.AccessTable
	Any    string        // the public key of one more user, who may do everything; for tests. "": none
	TLS    *tls.Config   // by which it speaks to clients; nil: it does not speak TLS
	Logger *slog.Logger  // nil: silent

	Cluster *NATSCluster // nil: this server is alone
}

// NATSCluster says how a server is one of several.
type NATSCluster struct {
	Server    string   // name of this server, different for each
	Port      int      // where the others connect
	Advertise string   // host:port that other servers are told to connect to; "": Host and Port
	Routes    []string // host:port of other servers, at least one: two servers are connected by either's route
}

// NATS is an embedded nats-server, the same code as production runs.
type NATS struct {
	cfg    NATSConfig
	server *server.Server
}

// StartNATS starts the server and returns once it takes connections and JetStream answers. Errors: *PortTakenError.
//
// Every JetStream write is synced before it is acknowledged (`sync_interval: always`), so an acknowledged change
// survives a kill -9. max_payload stays at its default of 1 MiB: it is also memcached's limit, so what fits the bus
// fits the cache, and no picture is larger (pictures.MaxBytes).
func StartNATS(cfg NATSConfig) (*NATS, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start NATS: no folder for JetStream")
	}
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	if cfg.Table == nil {
		cfg.Table = wire.AccessTable()
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	n := &NATS{cfg: cfg}
	for attempt := 0; ; attempt++ { // a port found free may be taken before NATS has it
		if cfg.Port == 0 {
			var err error
			if n.cfg.Port, err = freePort(); err != nil { // kept over a Restart
				return nil, fmt.Errorf("start NATS: %w", err)
			}
		}
		err := n.start()
		if taken := (*PortTakenError)(nil); errors.As(err, &taken) && cfg.Port == 0 && attempt < 4 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return n, nil
	}
}

func (n *NATS) start() error {
	opts := &server.Options{
		ServerName:         "killr",
		Host:               n.cfg.Host,
		Port:               n.cfg.Port,
		NoSigs:             true, // signals belong to the program that embeds it
		JetStream:          true,
		StoreDir:           n.cfg.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  1 << 30,
		PingInterval:       2 * time.Second, // a frozen role is noticed, and its connection dropped, in seconds
		MaxPingsOut:        2,
		WriteDeadline:      5 * time.Second,

		LameDuckDuration:    3 * time.Second, // from then on it has no client; of a server with many it takes longer
		LameDuckGracePeriod: time.Second,     // for clients to leave by themselves
	}
	if n.cfg.TLS != nil {
		opts.TLS, opts.TLSConfig, opts.TLSTimeout = true, n.cfg.TLS, 5
	}
	if c := n.cfg.Cluster; c != nil {
		opts.ServerName = c.Server
		opts.Cluster = server.ClusterOpts{
			Name: "killr", Host: n.cfg.Host, Port: c.Port, Advertise: c.Advertise, NoAdvertise: true, PoolSize: -1,
		}
		opts.Routes = server.RoutesFromStr("nats://" + strings.Join(c.Routes, ",nats://"))
	}
	if err := CheckPort("NATS", net.JoinHostPort(n.cfg.Host, strconv.Itoa(n.cfg.Port))); err != nil {
		return err
	}
	if n.cfg.Seeds != nil {
		var err error
		if opts.Nkeys, err = Users(n.cfg.Table, n.cfg.Seeds); err != nil {
			return fmt.Errorf("start NATS: %w", err)
		}
		if n.cfg.Any != "" {
			opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: n.cfg.Any})
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("start NATS: %w", err)
	}
	log := &natsLog{logger: n.cfg.Logger}
	s.SetLogger(log, false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf(
			"start NATS on %s: not ready in 10 s%s",
			net.JoinHostPort(n.cfg.Host, strconv.Itoa(n.cfg.Port)),
			log.lastError(),
		)
	}
	if !s.JetStreamEnabled() { // in a cluster a leader is elected later
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("start NATS: JetStream cannot use %s%s", n.cfg.Dir, log.lastError())
	}
	n.server = s
	return nil
}

// URL is where clients connect: nats://127.0.0.1:4222.
func (n *NATS) URL() string {
	return "nats://" + net.JoinHostPort(n.cfg.Host, strconv.Itoa(n.cfg.Port))
}

// Stop ends the server and waits for it. Safe to call twice.
func (n *NATS) Stop() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// Retire ends the server as one that another replaces: it takes no more clients, tells those that it has to leave, one
// after the other, and hands over what it leads.
func (n *NATS) Retire() { n.server.LameDuckShutdown() }

// Restart starts the server again on the same port with the same streams, after stopping it if it still runs.
func (n *NATS) Restart() error {
	n.Stop()
	return n.start()
}
