package audit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// leaks counts what was searched for secrets, and what was not.
type leaks struct {
	shared, private, items, messages atomic.Int64
	large, lost, unread              atomic.Int64 // items; messages; sweeps of a server that failed
	addresses                        atomic.Int64 // pages that showed their visitors their own
}

// searchShared looks for secrets in an answer that any visitor may get: its body, and its header.
func (p *people) searchShared(text []byte) *secret {
	if len(p.members) == 0 {
		return nil
	}
	p.leaks.shared.Add(1)
	return p.secrets.find(text, seenBy(nil))
}

// listen searches the messages of the bus that an audit may hear, until ctx ends: changes, early invalidations,
// requests for pages, fill notes, and popularity lists.
func (p *people) listen(ctx context.Context) {
	nc := p.a.cfg.NATS
	if nc == nil || len(p.members) == 0 {
		return
	}
	messages := make(chan *nats.Msg, 4096) // the client drops what has no room
	var subs []*nats.Subscription
	defer func() {
		for _, sub := range subs {
			if n, err := sub.Dropped(); err == nil {
				p.leaks.lost.Add(int64(n))
			}
			_ = sub.Unsubscribe() // the connection may be lost
		}
	}()
	for _, subject := range wire.AuditedSubjects() {
		sub, err := nc.ChanSubscribe(subject, messages)
		if err != nil {
			p.a.log.Warn("cannot listen to the bus", "subject", subject, "err", err)
			continue
		}
		subs = append(subs, sub)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-messages:
			p.leaks.messages.Add(1)
			text := appendFields(slices.Clip(m.Data), http.Header(m.Header))
			if found := p.secrets.find(text, seenOnBus); found != nil {
				p.leaked("message "+m.Subject, found)
			}
		}
	}
}

func (p *people) leaked(where string, found *secret) {
	now := p.a.now()
	p.a.tally.violated(Violation{
		Rule: "secret", What: "it has " + found.what + found.of(), URL: where, Begun: now, Ended: now,
	})
}

// Bounds of reading memcached.
const (
	sweepEvery = 5 * time.Second
	sweepTime  = 10 * time.Second
	sweepItems = 5000    // of one server in one sweep, chosen at random
	largest    = 2 << 20 // bytes of an item that is read
)

// sweep searches the items of memcached, again and again until ctx ends, and once more.
func (p *people) sweep(ctx context.Context) {
	if len(p.members) == 0 || len(p.a.cfg.Memcached) == 0 {
		return
	}
	for more := true; more; {
		more = sleep.For(ctx, sweepEvery)
		for _, addr := range p.a.cfg.Memcached {
			if err := p.sweepServer(context.WithoutCancel(ctx), addr); err != nil {
				p.leaks.unread.Add(1)
				p.a.log.Debug("cannot read memcached", "server", addr, "err", err)
			}
		}
	}
}

// sweepServer searches the items of one server.
func (p *people) sweepServer(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	keys, err := itemKeys(conn, r)
	if err != nil {
		return err
	}
	var z wire.Gzip
	for _, key := range keys {
		data, err := itemAt(conn, r, key)
		if err != nil {
			return err
		}
		if data == nil {
			continue
		}
		if len(data) > largest {
			p.leaks.large.Add(1)
			continue
		}
		p.leaks.items.Add(1)
		found := p.secrets.find(data, seenOnBus)
		if _, body, ok := bytes.Cut(data, []byte("\n\n")); ok && found == nil {
			if plain, err := z.Unpack(body); err == nil { // else it is not compressed
				found = p.secrets.find(plain, seenOnBus)
			}
		}
		if found != nil {
			p.leaked("item "+key, found)
		}
	}
	return nil
}

// itemKeys lists keys of a server: all, or as many as one sweep reads, each with the same chance.
func itemKeys(w io.Writer, r *bufio.Reader) (keys []string, err error) {
	if _, err := io.WriteString(w, "lru_crawler metadump all\r\n"); err != nil {
		return nil, err
	}
	for seen := 0; ; seen++ {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("list the items: %w", err)
		}
		line = strings.TrimSpace(line)
		if line == "END" {
			return keys, nil
		}
		escaped, ok := strings.CutPrefix(line, "key=")
		if !ok {
			return nil, fmt.Errorf("list the items: the server answers %q", line)
		}
		escaped, _, _ = strings.Cut(escaped, " ")
		key, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, fmt.Errorf("list the items: the key %q: %w", escaped, err)
		}
		if len(keys) < sweepItems {
			keys = append(keys, key)
		} else if at := rand.IntN(seen + 1); at < sweepItems {
			keys[at] = key
		}
	}
}

// itemAt gets an item; nil if it is not there any more. Of one that is too large it has only the first bytes, but more
// than largest.
func itemAt(w io.Writer, r *bufio.Reader, key string) (data []byte, err error) {
	if _, err := io.WriteString(w, "get "+key+"\r\n"); err != nil {
		return nil, err
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("get an item: %w", err)
		}
		parts := strings.Fields(line)
		switch {
		case len(parts) == 1 && parts[0] == "END":
			return data, nil
		case len(parts) != 4 || parts[0] != "VALUE":
			return nil, fmt.Errorf("get an item: the server answers %q", line)
		}
		size, err := strconv.Atoi(parts[3])
		if err != nil || size < 0 {
			return nil, fmt.Errorf("get an item: it has %s bytes", parts[3])
		}
		data = make([]byte, min(size, largest+1))
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, fmt.Errorf("get an item: %w", err)
		}
		if _, err := r.Discard(size - len(data) + len("\r\n")); err != nil {
			return nil, fmt.Errorf("get an item: %w", err)
		}
	}
}
