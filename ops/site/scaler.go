package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"flickrkillr/ops/pool"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

const (
	// sampleEvery is how often the renderers are asked for their load.
	sampleEvery = 500 * time.Millisecond
	// answerLate is how long renderers are waited for that have no time to answer.
	answerLate = 2 * time.Second
	// forgetRefusal is after how long without waits a refusal is forgotten, so that the next one is logged again.
	forgetRefusal = time.Minute
	// askPostgres bounds the question how many connections are left.
	askPostgres = time.Second
)

// ScaleRenderers is Wait that meanwhile adds renderers while requests wait for them, and removes those that are not
// needed: at least least, at most most. A renderer that leaves answers what it has taken. No other method may be called
// before it returns, except those that may be called concurrently. Its error says why it could not begin.
func (s *Site) ScaleRenderers(ctx context.Context, least, most int) error {
	return s.scale(ctx, scaling{least: least, most: most, quietFor: quietFor}, readProcessorTimes)
}

func (s *Site) scale(ctx context.Context, decision scaling, processors func() processorTimes) error {
	bus, err := stack.JoinBus(s.cfg.Services.Login(wire.RoleOperator), "scaling", s.log)
	if err != nil {
		return fmt.Errorf("scale renderers: %w", err)
	}
	defer bus.Close()
	scaler := &scaler{
		site: s, asks: pool.NewGatherer(bus.Conn, wire.RoleRenderer), log: s.log, decision: decision,
		processors: processors,
	}
	scaler.asks.WaitFor(answerLate)
	scaler.note()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.failed:
			return nil
		case <-ticker.C:
			scaler.step(ctx)
		}
	}
}

// scaler adds and removes the renderers of a site.
type scaler struct {
	site     *Site
	asks     *pool.Gatherer
	log      *slog.Logger
	decision scaling
	last     pool.Snapshot
	// processors reads the times of this machine's processors.
	processors func() processorTimes
	times      processorTimes // at the last step
	used       float64        // part of the processors' time between the last two steps
	refusal    string         // why the last wish for more was refused; "": it was not, or nobody has waited since
	waited     time.Time      // when requests waited last
	busy       time.Time      // since when the processors are full; zero: they are not
	full       time.Time      // when they had been full for overFor last
}

// step takes a sample and does what it asks for.
func (c *scaler) step(ctx context.Context) {
	shot, err := c.asks.Gather(ctx)
	times := c.processors()
	c.used, c.times = times.usedSince(c.times), times
	if err != nil { // without a bus there is no load
		return
	}
	defer c.note()
	c.noteProcessors(shot.At)
	last := c.last
	c.last = shot
	if last.At.IsZero() {
		return
	}
	load := pool.Between(last, shot)
	if requestsWait(load) {
		c.waited = shot.At
	}
	have := c.site.count(Renderer)
	switch want := c.decision.decide(shot.At, have, load); {
	case want > have:
		c.grow(ctx, want-have, load)
	case want < have:
		c.shrink(load)
	case c.refusal != "" && shot.At.Sub(c.waited) > forgetRefusal:
		c.refusal = ""
	}
}

// noteProcessors says once when the processors are full, until they have not been for a while: then pages are slow
// although none waits for a renderer.
func (c *scaler) noteProcessors(now time.Time) {
	switch {
	case c.used < processorsFull:
		c.busy = time.Time{}
	case c.busy.IsZero():
		c.busy = now
	}
	if !c.busy.IsZero() && now.Sub(c.busy) >= overFor {
		if now.Sub(c.full) > forgetRefusal {
			c.log.Info("the processors are full: more renderers would not help", "renderers", c.site.count(Renderer))
		}
		c.full = now
	}
}

// note shows how the number of renderers follows the load, and why it does not.
func (c *scaler) note() {
	note := fmt.Sprintf("Between %d and %d run, as the load asks.", c.decision.least, c.decision.most)
	switch {
	case c.refusal != "":
		note += fmt.Sprintf(" At %s requests waited, and no more could start: %s.", c.waited.Format(time.TimeOnly),
			c.refusal)
	case !c.busy.IsZero() && c.full.After(c.busy):
		note += " The processors are full: more would not help."
	}
	c.site.noteScaling(note)
}

// grow adds as many of n renderers as there is room for. Why there is none for more is said once, until requests have
// not waited for a while.
func (c *scaler) grow(ctx context.Context, n int, load pool.Load) {
	needs, err := c.site.resources(ctx, load.Renderers)
	needs.used = c.used
	fit, why := needs.room(n)
	if err != nil {
		fit, why = 0, err.Error()
	}
	if why != "" && c.refusal == "" {
		c.log.Warn("requests wait for renderers, and no more may start", "wanted", n, "started", fit, "reason", why)
	}
	c.refusal = why
	if fit == 0 {
		return
	}
	if err := c.site.Add(Renderer, fit); err != nil {
		c.log.Warn("start more renderers", "err", err)
	}
	c.log.Info("more renderers", "count", c.site.count(Renderer), "added", fit, "wait_p95", load.Wait95,
		"busy", load.Busy)
}

func (c *scaler) shrink(load pool.Load) {
	if err := c.site.Remove(Renderer); err != nil {
		c.log.Warn("a renderer that is not needed any more ended with an error", "err", err)
	}
	c.log.Info("fewer renderers", "count", c.site.count(Renderer), "used", load.Used)
}

// noteScaling says how the number of renderers follows the load.
func (s *Site) noteScaling(note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scaling = note
}

// scalingNote is what noteScaling was told last.
func (s *Site) scalingNote() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scaling
}

// resources asks PostgreSQL for its connections. Roles may have as many as its own bound and that of the user allow. So
// many renderers run.
func (s *Site) resources(ctx context.Context, renderers int) (r resources, err error) {
	ctx, cancel := context.WithTimeout(ctx, askPostgres)
	defer cancel()
	r.renderers = renderers
	r.each = int(renderer.PoolConns(s.cfg.Renderer.PageWorkers, s.cfg.Renderer.ActionWorkers) +
		renderer.SearchConns(s.cfg.Renderer.SearchWorkers))
	conn, err := pgx.Connect(ctx, s.cfg.Services.Postgres)
	if err != nil {
		return r, fmt.Errorf("PostgreSQL does not say how many connections it has left: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	const q = `
		SELECT least(
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
			(SELECT CASE WHEN rolconnlimit < 0 THEN 1000000 ELSE rolconnlimit END
			 FROM pg_roles WHERE rolname = current_user)),
			(SELECT count(*) FROM pg_stat_activity
			 WHERE usename = current_user AND application_name NOT LIKE 'killr%'
			   AND pid <> pg_backend_pid())`
	if err := conn.QueryRow(ctx, q).Scan(&r.connections, &r.others); err != nil {
		return r, fmt.Errorf("ask PostgreSQL how many connections it has left: %w", err)
	}
	return r, nil
}
