package audit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"flickrkillr/schema/wire"
)

// visitor looks at pages through one edge, one after the other.
type visitor struct {
	a     *audit
	edge  int
	body  []byte
	life  string           // of the edge's process: how its request ids begin
	seen  map[string]int64 // by scope, the newest version that this life of the edge has shown this visitor
	pages map[string]page304
}

// page304 is a page that the visitor has kept, as browsers do, to ask whether it has changed.
type page304 struct {
	etag  string
	sight *sight
}

const (
	keptPages = 64
	lifeChars = 8 // what request ids of one process have in common
)

// newVisitor makes a visitor; one that keeps asks again for what it has with If-None-Match.
func (a *audit) newVisitor(edge int, keeps bool) *visitor {
	v := &visitor{a: a, edge: edge, seen: map[string]int64{}}
	if keeps {
		v.pages = map[string]page304{}
	}
	return v
}

// look asks for a page, with the cookie of a write if there is one, and hands what it saw to the judges. It returns nil
// when there was no page, which is counted.
func (v *visitor) look(ctx context.Context, method string, t target, own *event) *observation {
	o, err := v.ask(ctx, method, t, own)
	if err != nil {
		if ctx.Err() == nil {
			v.a.tally.failed("no answer")
			v.a.log.Debug("look: no answer", "edge", v.a.cfg.Edges[v.edge], "path", t.path, "err", err)
		}
		return nil
	}
	if o.status != http.StatusOK && o.status != http.StatusNotModified && o.status != http.StatusNotFound {
		v.a.tally.failed(strconv.Itoa(o.status))
		return nil
	}
	v.remember(o)
	select {
	case v.a.queue <- o:
		v.a.tally.observed(o)
	case <-ctx.Done():
	}
	return o
}

func (v *visitor) ask(ctx context.Context, method string, t target, own *event) (*observation, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	url := v.a.cfg.Edges[v.edge] + t.path
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header["X-Depends"] = []string{v.a.insider()}
	kept, has := v.pages[t.path]
	if has {
		req.Header["If-None-Match"] = []string{kept.etag}
	}
	if own != nil {
		req.AddCookie(&http.Cookie{Name: wire.FreshCookie, Value: v.a.cookie(own)})
	}
	o := &observation{target: t, edge: v.edge, own: own, unread: method == http.MethodHead}
	o.target.path = url
	o.begin = v.a.now()
	resp, err := v.a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if v.body, err = readAll(resp.Body, v.body[:0]); err != nil {
		return nil, err
	}
	o.end = v.a.now()
	o.status, o.cache, o.id = resp.StatusCode, resp.Header.Get("X-Cache"), resp.Header.Get("X-Request-Id")
	o.depends = resp.Header.Get("X-Depends")
	var told string
	told, o.veiled = unveiled(o.depends)
	if o.named, err = v.a.world.resolve(told); err != nil && o.status < 500 {
		return nil, fmt.Errorf("X-Depends %q: %w", o.depends, err)
	}
	switch {
	case o.status == http.StatusNotModified && has:
		o.same, o.sight = true, kept.sight
	case o.status == http.StatusOK && !o.unread:
		s := scan(v.body)
		o.sight = &s
		if etag := resp.Header.Get("Etag"); v.pages != nil && etag != "" && !o.stale() {
			if len(v.pages) >= keptPages {
				clear(v.pages)
			}
			v.pages[t.path] = page304{etag, o.sight}
		}
	}
	return o, nil
}

// readAll is io.ReadAll into a buffer that is used again.
func readAll(r io.Reader, b []byte) ([]byte, error) {
	if cap(b) == 0 {
		b = make([]byte, 0, 64<<10)
	}
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

// remember holds an answer against what this visitor has seen before. An edge that was started anew knows nothing of
// that. Stale copies say that they are old, and are counted apart.
func (v *visitor) remember(o *observation) {
	if life := o.id[:min(len(o.id), lifeChars)]; life != v.life {
		v.life, v.seen = life, map[string]int64{}
	}
	if o.stale() {
		return
	}
	for _, n := range o.named {
		scope := n.scope()
		if before := v.seen[scope]; n.version < before {
			v.a.tally.broke(violation(
				o, "back", nil,
				fmt.Sprintf("%s is at %d, but this visitor has seen %d already", scope, n.version, before),
			))
		}
		v.seen[scope] = max(v.seen[scope], n.version)
	}
}

// insider is what has an edge tell the versions of what is not there too, if there is a key.
func (a *audit) insider() string {
	if a.key == nil {
		return "?"
	}
	return a.key.Insider(time.Now().Add(a.world.ahead + wire.FreshAge))
}

// unveiled gives X-Depends without the scopes whose versions an edge keeps to itself, as it does of what is not there,
// and whether there were any.
func unveiled(depends string) (told string, veiled bool) {
	all := strings.Fields(depends)
	some := slices.DeleteFunc(slices.Clone(all), func(dep string) bool { return strings.HasSuffix(dep, "=?") })
	return strings.Join(some, " "), len(some) < len(all)
}

// resolve reads X-Depends, as far as it is about what is audited.
func (w *world) resolve(depends string) ([]named, error) {
	deps, err := wire.ParseDeps(depends)
	if err != nil {
		return nil, err
	}
	all := make([]named, 0, len(deps))
	for _, d := range deps {
		if name, ok := strings.CutPrefix(d.Scope, "user."); ok {
			if o := w.names[name]; o != nil {
				all = append(all, named{owner: o, version: d.Version})
			}
		} else if id, ok := strings.CutPrefix(d.Scope, "photo."); ok {
			if n, err := strconv.ParseInt(id, 10, 64); err == nil && w.photos[n] != nil {
				all = append(all, named{owner: w.photos[n].owner, photo: w.photos[n], version: d.Version})
			}
		}
	}
	return all, nil
}
