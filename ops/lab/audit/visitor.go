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

// visitor requests pages through one edge, one after the other.
type visitor struct {
	a     *audit
	edge  int
	body  []byte
	life  string           // prefix of the request ids of the edge's process
	seen  map[string]int64 // by scope: the newest version that this process of the edge has shown this visitor
	pages map[string]page304

	member *member // as whom the visitor is signed in; nil: nobody
}

// page304 is a page that the visitor has cached, as browsers do, to revalidate it with If-None-Match.
type page304 struct {
	etag    string
	content *content
}

const (
	keptPages = 64
	lifeChars = 8 // request ids of one process begin with the same characters
)

// newVisitor returns a visitor; one that keeps pages revalidates them with If-None-Match.
func (a *audit) newVisitor(edge int, keeps bool) *visitor {
	v := &visitor{a: a, edge: edge, seen: map[string]int64{}}
	if keeps {
		v.pages = map[string]page304{}
	}
	return v
}

// view requests a page, with the cookie of the write own unless that is nil, and queues the answer for the checkers. It
// returns nil and counts a failure if the answer has no page.
func (v *visitor) view(ctx context.Context, method string, t target, own *event) *observation {
	o, err := v.ask(ctx, method, t, own)
	if err != nil {
		if ctx.Err() == nil {
			v.a.tally.failed("no answer")
			v.a.log.Debug("a page view got no answer", "edge", v.a.cfg.Edges[v.edge], "path", t.path, "err", err)
		}
		return nil
	}
	if o.status != http.StatusOK && o.status != http.StatusNotModified && o.status != http.StatusNotFound {
		v.a.tally.failed(strconv.Itoa(o.status))
		return nil
	}
	v.checkOrder(o)
	o.learnPicture()
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
	stored, has := v.pages[t.path]
	if has {
		req.Header["If-None-Match"] = []string{stored.etag}
	}
	if v.member != nil {
		req.Header["Cookie"] = []string{*v.member.cookie.Load()}
	}
	if own != nil {
		req.AddCookie(&http.Cookie{Name: wire.FreshCookie, Value: v.a.cookie(own)})
	}
	o := &observation{target: t, edge: v.edge, own: own, headOnly: method == http.MethodHead, signedIn: v.member != nil}
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
	text := appendFields(v.body, resp.Header)
	v.body = text[:len(v.body)]
	if found := v.a.people.searchShared(text); found != nil {
		v.a.tally.violated(violation(o, "secret", nil, "an answer for all visitors has "+found.what+found.of()))
	}
	rest, withheld := withoutWithheld(o.depends)
	o.withheld = withheld
	if t.kind != picturePage { // whose versions may be older ones, and which depends on none if it is missing
		if o.named, err = v.a.world.resolve(rest); err != nil && o.status < 500 {
			return nil, fmt.Errorf("X-Depends %q: %w", o.depends, err)
		}
	}
	switch {
	case o.status == http.StatusNotModified && has:
		o.notModified, o.content = true, stored.content
	case o.status == http.StatusOK && !o.headOnly:
		s := scan(v.body)
		o.content = &s
		if etag := resp.Header.Get("Etag"); v.pages != nil && etag != "" && !o.stale() {
			if len(v.pages) >= keptPages {
				clear(v.pages)
			}
			v.pages[t.path] = page304{etag, o.content}
		}
	}
	return o, nil
}

// readAll is io.ReadAll into a buffer that is reused.
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

// checkOrder compares an answer with what this visitor has seen before: rule "back". An edge that was restarted begins
// anew. Stale copies say that they are old, and do not count.
func (v *visitor) checkOrder(o *observation) {
	if life := o.id[:min(len(o.id), lifeChars)]; life != v.life {
		v.life, v.seen = life, map[string]int64{}
	}
	if o.stale() {
		return
	}
	for _, n := range o.named {
		scope := n.scope()
		if before := v.seen[scope]; n.version < before {
			v.a.tally.violated(violation(
				o, "back", nil,
				fmt.Sprintf("%s is at %d, but this visitor has seen %d already", scope, n.version, before),
			))
		}
		v.seen[scope] = max(v.seen[scope], n.version)
	}
}

// insider is the request header with which an edge also names the versions of missing pages; "?" without the key.
func (a *audit) insider() string {
	if a.key == nil {
		return "?"
	}
	return a.key.Insider(time.Now().Add(a.world.ahead + wire.FreshAge))
}

// withoutWithheld removes from X-Depends the scopes whose versions the edge withholds, and reports whether there were
// any.
func withoutWithheld(depends string) (rest string, withheld bool) {
	all := strings.Fields(depends)
	some := slices.DeleteFunc(slices.Clone(all), func(dep string) bool { return strings.HasSuffix(dep, "=?") })
	return strings.Join(some, " "), len(some) < len(all)
}

// resolve reads X-Depends, as far as it names audited users and photos.
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
