package cachefill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// The sentinel is an item that lies in every server for as long as that has not been emptied: flushed, restarted, or
// added just now. Each cachefill adds it once a second. That fails while it is there; where it succeeds the server was
// empty, and whoever succeeded is the one that replays. However full the server, memcached does not drop it to make
// room for pages: it drops items of the size that it needs room for, and of the sentinel's size there are only locks,
// which end by themselves. Should it get lost all the same, a replay finds all there.
const (
	sentinelKey   = "killr.warm"
	sentinelEvery = time.Second
	// seconds that the sentinel of a replay under way lives: if its cachefill dies, another one begins anew
	sentinelHold = 10
)

// server is one memcached server. A page, its lock and the server's sentinel lie together, so that a dead server costs
// its own pages only.
type server struct {
	addr   string
	client *memcache.Client
	log    *slog.Logger
	state  atomic.Pointer[string] // for people, and for away
	looks  atomic.Int64           // for the sentinel
	failed int                    // of those, the last ones in a row; watch alone uses it
}

// States of a server.
var (
	stateUnknown   = "unknown"
	stateWarm      = "warm"
	stateReplaying = "replaying"
	stateAway      = "away"
)

// awayAfter is how many looks in a row must fail.
const awayAfter = 3

func newServer(addr string, conns int, timeout time.Duration, log *slog.Logger) *server {
	s := &server{addr: addr, client: memcache.New(addr), log: log.With("server", addr)}
	s.client.Timeout, s.client.MaxIdleConns = timeout, conns
	s.state.Store(&stateUnknown)
	return s
}

// do runs an operation, and again while it falls on idle connections of before a restart of the server.
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

// away reports that the server has not answered for a while. Its pages are left alone until it does: each would cost a
// worker a timeout, for which those of the other servers would wait.
func (s *server) away() bool { return s.state.Load() == &stateAway }

func (s *server) become(state *string) {
	if old := s.state.Swap(state); old != state && (old == &stateAway || state == &stateAway) {
		s.log.Warn("memcached", "was", *old, "is", *state)
	}
}

// watch has replay called whenever the server is found empty, until ctx ends.
func (s *server) watch(ctx context.Context, replay func(context.Context, *server) error) {
	for ctx.Err() == nil {
		switch won, err := s.look(); {
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
		s.looks.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(sentinelEvery):
		}
	}
}

// look reports whether the server is empty and it is for this cachefill to replay.
func (s *server) look() (won bool, err error) {
	err = s.do(func() error { return s.client.Add(sentinel()) })
	if errors.Is(err, memcache.ErrNotStored) {
		return false, nil
	}
	return err == nil, err
}

// replay runs one, and keeps the sentinel alive meanwhile. After one that failed the sentinel is taken away: whoever
// looks next tries again.
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
					s.log.Info("replay: ended early", "err", err)
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
