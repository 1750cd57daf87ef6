package site

import (
	"context"
	"log/slog"
	"time"

	"flickrkillr/ops/debug"
	"flickrkillr/schema/sleep"
)

// When a role that is not ready is logged: not while it starts as usual, then at once, then every 10 s.
const (
	watchEvery    = 200 * time.Millisecond
	notReadyAfter = time.Second
	notReadyEvery = 10 * time.Second
)

// watchReady logs why a role cannot serve, for as long as it cannot, and that it can again. It returns nil when ctx
// ends.
func watchReady(ctx context.Context, roles func() []debug.Role, log *slog.Logger) error {
	type state struct{ since, logged time.Time }
	waiting := map[string]*state{} // by role
	for {
		now := time.Now()
		for _, r := range roles() {
			s, err := waiting[r.Name], r.Ready()
			switch {
			case err == nil && s == nil:
			case err == nil:
				if !s.logged.IsZero() {
					log.Info("ready", "role", r.Name, "took", now.Sub(s.since).Round(time.Millisecond))
				}
				delete(waiting, r.Name)
			case s == nil:
				waiting[r.Name] = &state{since: now}
			case now.Sub(s.since) >= notReadyAfter && now.Sub(s.logged) >= notReadyEvery:
				log.Warn("not ready; trying again", "role", r.Name, "err", err,
					"took", now.Sub(s.since).Round(time.Second))
				s.logged = now
			}
		}
		if !sleep.For(ctx, watchEvery) {
			return nil
		}
	}
}
