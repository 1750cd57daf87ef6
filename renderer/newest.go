package renderer

import (
	"context"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

const (
	// replicaTimeout is how long a replica may take for pages, replicaSearchTimeout for a search. Then the primary is
	// asked.
	replicaTimeout       = 500 * time.Millisecond
	replicaSearchTimeout = store.SearchLongest + store.SearchTimeout
	// primaryTimeout is how long the primary may take for something that a replica has, but older than was wanted. Then
	// the older is the answer, which an edge marks as stale.
	primaryTimeout = time.Second
	// primaryAway is how long the primary has been away when it is not asked first.
	primaryAway = 500 * time.Millisecond
)

// reading is how answers of one kind are read from rows.
type reading[T any] struct {
	ask   func(ctx context.Context, from *Pages, refs []page.Ref) ([]T, error)
	state func(T) (readAt time.Time, depends []wire.Dep) // a zero time: the primary has to be asked
}

// newest reads the answers for refs, each at least as new as its conditions, from a replica if that has come so far,
// else from the primary. While there is no primary it returns older ones. sources are values of wire.HeaderSource; ""
// if there are no replicas.
func newest[T any](
	ctx context.Context, s *Service, refs []page.Ref, wants []wire.Conditions, how reading[T],
) (answers []T, sources []string, err error) {
	sources = make([]string, len(refs))
	if len(s.replicas.all) == 0 {
		answers, err = fromPrimary(ctx, s, refs, how)
		return answers, sources, err
	}
	answers = fromReplicas(ctx, s, refs, how)
	var old []int
	for i := range refs {
		sources[i] = wire.SourceReplica
		if answers != nil {
			if readAt, depends := how.state(answers[i]); s.newEnough(wants[i], readAt, depends) {
				continue
			}
		}
		old = append(old, i)
	}
	if len(old) == 0 {
		s.metrics.reads.WithLabelValues(wire.SourceReplica).Add(float64(len(refs)))
		return answers, sources, nil
	}
	if answers != nil && s.outage.length() > primaryAway {
		return answers, sources, nil
	}
	newer, err := fromPrimaryInstead(ctx, s, pick(refs, old), how, answers != nil)
	switch {
	case err == nil:
	case ctx.Err() != nil || !isUnavailable(err):
		return nil, nil, err
	case answers != nil:
		return answers, sources, nil
	default:
		// No replica was new enough to be asked, as nobody writes heartbeats while there is no primary.
		if answers = fromReplicas(ctx, s, refs, how); answers != nil {
			return answers, sources, nil
		}
		return nil, nil, err
	}
	if answers == nil {
		answers = make([]T, len(refs))
	}
	for n, i := range old {
		answers[i], sources[i] = newer[n], wire.SourcePrimary
	}
	s.metrics.reads.WithLabelValues(wire.SourcePrimary).Add(float64(len(old)))
	s.metrics.reads.WithLabelValues(wire.SourceReplica).Add(float64(len(refs) - len(old)))
	return answers, sources, nil
}

// fromPrimary reads from the primary, with retries while that restarts.
func fromPrimary[T any](
	ctx context.Context, s *Service, refs []page.Ref, how reading[T],
) (answers []T, err error) {
	err = s.untilOutage(ctx, s.cfg.ReadTimeout, func(ctx context.Context) (err error) {
		answers, err = how.ask(ctx, s.maker, refs)
		return err
	})
	return answers, err
}

// fromPrimaryInstead is fromPrimary for what a replica did not have, or has, but older.
func fromPrimaryInstead[T any](
	ctx context.Context, s *Service, refs []page.Ref, how reading[T], older bool,
) ([]T, error) {
	if older {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, primaryTimeout)
		defer cancel()
	}
	return fromPrimary(ctx, s, refs, how)
}

// fromReplicas reads from the replica whose turn it is. If that is gone, it tries another one before the primary, which
// may have run on the same machine. nil if there is none, or the second fails as well.
func fromReplicas[T any](ctx context.Context, s *Service, refs []page.Ref, how reading[T]) []T {
	for range 2 {
		from := s.replicas.next(s.outage.length() > primaryAway)
		if from == nil {
			return nil
		}
		if answers, gone := fromReplica(ctx, s, from, refs, how); !gone {
			return answers
		}
	}
	return nil
}

// fromReplica reads from a replica; nil if it fails. gone: nobody should ask it, until it is found to answer.
func fromReplica[T any](
	ctx context.Context, s *Service, from *replica, refs []page.Ref, how reading[T],
) (answers []T, gone bool) {
	limit, search := replicaTimeout, refs[0].Kind() == page.KindSearch
	if search {
		limit = replicaSearchTimeout
	}
	request := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := contained(func() (err error) {
		answers, err = how.ask(ctx, from.maker, refs)
		return err
	})
	if err == nil {
		return answers, false
	}
	tooLong := ctx.Err() == context.DeadlineExceeded && !search // a search may take long on any machine
	if request.Err() == nil && (tooLong || store.IsTransient(err)) {
		from.fails.Store(true) // until watch finds that it answers
		gone = true
	}
	s.log.Debug("a replica has failed", "replica", from.name, "err", err)
	return nil, gone
}

// newEnough reports whether an answer of a replica meets the conditions, and is not too far behind.
func (s *Service) newEnough(want wire.Conditions, readAt time.Time, depends []wire.Dep) bool {
	return !readAt.Before(s.clock.Now().Add(-maxBehind)) && want.Met(readAt, depends)
}

func pick[T any](from []T, places []int) []T {
	picked := make([]T, len(places))
	for i, place := range places {
		picked[i] = from[place]
	}
	return picked
}

// wantsOf are the conditions that each group of requests has for its answer.
func wantsOf(groups [][]*job) []wire.Conditions {
	wants := make([]wire.Conditions, len(groups))
	for i, g := range groups {
		wants[i] = g[0].wants
		for _, j := range g[1:] {
			wants[i] = wants[i].And(j.wants)
		}
	}
	return wants
}
