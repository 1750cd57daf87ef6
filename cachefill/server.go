package cachefill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"flickrkillr/schema/sleep"
)

// The sentinel is an item that is in every server until the server is flushed or restarted. Each cachefill adds it once
// a second. Adding fails while it is there. Where it succeeds, the server was empty, and the cachefill that succeeded
// replays. memcached does not evict it for pages: it evicts items of the size class that needs room, and the sentinel's
// class holds only locks, which expire by themselves. If it is lost nevertheless, a replay finds all pages there.
const (
	sentinelKey   = "killr.warm"
	sentinelEvery = time.Second
	// seconds that the sentinel of a running replay lives: if its cachefill dies, another one starts again
	sentinelHold = 10
)

// server is one memcached server. A page, its lock and the sentinel of its server lie together, so that a dead server
// affects its own pages only.
type server struct {
	addr   string
	client *memcache.Client
	log    *slog.Logger
	state  atomic.Pointer[string] // one of the states below
	probes atomic.Int64
	failed int // the last probes that failed in a row; only watch uses it
}

// States of a server.
var (
	stateUnknown   = "unknown"
	stateWarm      = "warm"
	stateReplaying = "replaying"
	stateAway      = "away"
)

// awayAfter is how many probes in a row must fail.
const awayAfter = 3

func newServer(addr string, conns int, timeout time.Duration, log *slog.Logger) *server {
	s := &server{addr: addr, client: memcache.New(addr), log: log.With("server", addr)}
	s.client.Timeout, s.client.MaxIdleConns = timeout, conns
	s.state.Store(&stateUnknown)
	return s
}

// do runs an operation. It retries while the operation uses idle connections from before a restart of the server.
func (s *server) do(op func() error) error {
	err := op()
	for range s.client.MaxIdleConns {
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			break
		}
		err = op()
	}
	return err
}

// errTooLarge: the server takes smaller items only.
var errTooLarge = errors.New("memcached takes smaller items only")

// put stores an item in the place of an old one, or as a new one. A set would not do: when memcached cannot take the
// item, because it is too large or there is no room, a set deletes the old one first.
func (s *server) put(item *memcache.Item, isNew bool) (err error) {
	for range 3 { // an old item may expire, or be evicted, before it is replaced
		op := s.client.Replace
		if isNew {
			op = s.client.Add
		}
		err = s.do(func() error { return op(item) })
		if !errors.Is(err, memcache.ErrNotStored) {
			break
		}
		isNew = !isNew
	}
	if err != nil && strings.Contains(err.Error(), "SERVER_ERROR object too large") { // the client has no name for it
		err = fmt.Errorf("%w: %w", errTooLarge, err)
	}
	return err
}

// away reports whether the server has not answered for a while. Its pages are not filled until it does: each would
// block a worker for a timeout, at the cost of the other servers.
func (s *server) away() bool { return s.state.Load() == &stateAway }

func (s *server) become(state *string) {
	if old := s.state.Swap(state); old != state && (old == &stateAway || state == &stateAway) {
		s.log.Warn("memcached", "was", *old, "is", *state)
	}
}

// watch calls replay whenever the server is found empty, until ctx ends.
func (s *server) watch(ctx context.Context, replay func(context.Context, *server) error) {
	for ctx.Err() == nil {
		switch won, err := s.probe(); {
		case err != nil:
			if s.failed++; s.failed >= awayAfter {
				s.become(&stateAway)
			}
		case won:
			s.failed = 0
			s.replay(ctx, replay)
		default:
			s.failed = 0
			s.become(&stateWarm) // or another cachefill is at it
		}
		s.probes.Add(1)
		sleep.For(ctx, sentinelEvery)
	}
}

// probe reports whether the server is empty and this cachefill is to replay.
func (s *server) probe() (won bool, err error) {
	err = s.do(func() error { return s.client.Add(sentinel()) })
	if errors.Is(err, memcache.ErrNotStored) {
		return false, nil
	}
	return err == nil, err
}

// replay runs a replay and keeps the sentinel alive meanwhile. If the replay fails it deletes the sentinel, so that
// the next probe starts another.
func (s *server) replay(ctx context.Context, replay func(context.Context, *server) error) {
	s.become(&stateReplaying)
	ended := make(chan error, 1)
	go func() { ended <- replay(ctx, s) }()
	beat := time.NewTicker(sentinelEvery)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			// What it fails with shows when it is added next. Not set: a server that is flushed meanwhile is empty
			// again.
			_ = s.client.Touch(sentinelKey, sentinelHold)
		case err := <-ended:
			if err != nil {
				if ctx.Err() == nil {
					s.log.Info("replay ended early", "err", err)
				}
				_ = s.client.Delete(sentinelKey) // else it ends by itself
				return
			}
			_ = s.client.Touch(sentinelKey, 0) // for good
			s.become(&stateWarm)
			return
		}
	}
}

func sentinel() *memcache.Item {
	return &memcache.Item{Key: sentinelKey, Value: fmt.Appendf(nil, "since %s", time.Now().UTC().Format(time.RFC3339)),
		Expiration: sentinelHold}
}
