package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/popularlist"
	"flickrkillr/schema/wire"
)

type warmCommand struct {
	busFlags
	Rate int           `default:"200" min:"1" max:"1000000" placeholder:"N" help:"Pages per second to fill (default ${default})."`
	Wait time.Duration `default:"15s" min:"1ms" placeholder:"TIME" help:"Time to wait for one page (default ${default})."`
}

// warmAtOnce is how many pages are filled at the same time: a part of the queue of one cachefill.
const warmAtOnce = 64

// Run has cachefills fill memcached with every popular page, the most popular first, and reports the results.
func (c *warmCommand) Run(s *session) error {
	nc, err := c.join(s, wire.RoleOperator, "warm")
	if err != nil {
		return err
	}
	defer nc.Close()
	list, err := c.popularPages(s.ctx, nc)
	if err != nil {
		return err
	}
	fmt.Fprintf(
		s.stdout, "%s to fill, the most popular first: %s\n", audit.Count(len(list), "page"), mostPopular(list, 5),
	)
	began := time.Now()
	ends, err := c.fill(s.ctx, nc.Conn, list)
	if err != nil {
		return err
	}
	return ends.report(s.stdout, len(list), time.Since(began))
}

// popularPages reads the popularity lists of all edges, once NATS answers.
func (c *warmCommand) popularPages(ctx context.Context, nc *stack.Bus) ([]wire.Popular, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: start it with `killr up`, or say --nats", cmp.Or(nc.Down(), err))
	}
	list, err := popularlist.All(ctx, nc.Conn)
	if errors.Is(err, popularlist.ErrNone) {
		return nil, fmt.Errorf("%w: an edge keeps one from 10 s after it has been asked for pages", err)
	}
	return list, err
}

// mostPopular names the first n pages.
func mostPopular(list []wire.Popular, n int) string {
	var names []string
	for _, popular := range list[:min(n, len(list))] {
		names = append(names, fmt.Sprintf("%s (%d)", popular.Ref, popular.Count))
	}
	return strings.Join(names, ", ")
}

// warmResults are pages by the result of their fill.
type warmResults map[string][]string

// fill sends a note for each page, no faster than the rate, and waits for the answers. Without a cachefill it
// ends at the first note.
func (c *warmCommand) fill(ctx context.Context, nc *nats.Conn, list []wire.Popular) (warmResults, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	ends := warmResults{}
	limit, places := rate.NewLimiter(rate.Limit(c.Rate), 1), make(chan struct{}, warmAtOnce)
	var waiting sync.WaitGroup
	for _, popular := range list {
		if limit.Wait(ctx) != nil {
			break
		}
		places <- struct{}{} // each is given back within --wait
		waiting.Go(func() {
			defer func() { <-places }()
			end, err := c.fillOne(ctx, nc, popular)
			if errors.Is(err, nats.ErrNoResponders) {
				cancel(errors.New("no cachefill is on the bus: start one with `killr cachefill`"))
			}
			mu.Lock()
			defer mu.Unlock()
			ends[end] = append(ends[end], popular.Ref.String())
		})
	}
	waiting.Wait()
	return ends, context.Cause(ctx)
}

// fillOne has one page filled and returns the result that the cachefill reports. Without an answer the error says why.
func (c *warmCommand) fillOne(ctx context.Context, nc *nats.Conn, popular wire.Popular) (end string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	answer, err := nc.RequestMsgWithContext(ctx, wire.Fill{Ref: popular.Ref}.Msg())
	if err != nil {
		return "not answered", err
	}
	return string(answer.Data), nil
}

// report prints the results. Pages that could have been filled and were not are an error.
func (e warmResults) report(out io.Writer, all int, took time.Duration) error {
	fmt.Fprintf(out, "%d filled and %d held already, in %.1f s\n", len(e[wire.FillFilled]),
		len(e[wire.FillHeld]), took.Seconds())
	words := make([]string, 0, len(e))
	for word := range e {
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(len(e[b])-len(e[a]), strings.Compare(a, b)) })
	failed := 0
	for _, word := range words {
		if word == wire.FillFilled || word == wire.FillHeld {
			continue
		}
		fmt.Fprintf(out, "%d %s, such as %s\n", len(e[word]), word, e[word][0])
		if word != wire.FillPrivate && word != wire.FillTooLarge {
			failed += len(e[word])
		}
	}
	if failed > 0 {
		return fmt.Errorf("not in memcached: %d of %s", failed, audit.Count(all, "page"))
	}
	return nil
}
