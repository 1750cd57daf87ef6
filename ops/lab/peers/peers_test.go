package peers

import (
	"math"
	"strings"
	"testing"

	"flickrkillr/ops/lab/bench"
)

func TestConfigurations(t *testing.T) {
	t.Parallel()
	vcl, err := varnishConfig("127.0.0.1:7")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"file": {
			fileConfig("127.0.0.1:1", "/srv", ""),
			[]string{"listen 127.0.0.1:1;", "root /srv;", "default_type text/html;"},
		},
		"gzip": {fileConfig("127.0.0.1:1", "/srv", gzipped), []string{"add_header Content-Encoding gzip;"}},
		"memcached": {
			memcachedConfig("127.0.0.1:1", "127.0.0.1:2", gzipped),
			[]string{"server 127.0.0.1:2;", "memcached_pass cache;", "set $memcached_key $uri;", "gzip;"},
		},
		"cache": {
			cacheConfig("127.0.0.1:1", "127.0.0.1:3", "/tmp/x"),
			[]string{
				"proxy_cache_path /tmp/x/cache ", "server 127.0.0.1:3;", "proxy_cache pages;",
				"proxy_cache_valid 200 1h;",
			},
		},
		"front": {
			frontConfig("127.0.0.1:1", "127.0.0.1:3"), []string{"server 127.0.0.1:3;", "proxy_pass http://site;"},
		},
		"varnish": {vcl, []string{`.host = "127.0.0.1";`, `.port = "7";`, "beresp.ttl = 1h;"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, c.text)
			}
		}
		if strings.Count(c.text, "{") != strings.Count(c.text, "}") {
			t.Errorf("%s: braces do not match:\n%s", name, c.text)
		}
	}
	if strings.Contains(frontConfig("127.0.0.1:1", "127.0.0.1:3"), "proxy_cache") {
		t.Error("nginx in front of the plain program caches its pages")
	}
	if _, err := varnishConfig("nowhere"); err == nil {
		t.Error("an origin without a port was accepted")
	}
}

// rounds are one peer's results, with what the servers paid in each round.
func rounds(postgresShare float64, costs ...float64) []bench.Result {
	var all []bench.Result
	for _, c := range costs {
		all = append(all, bench.Result{PagesPerSecond: 1e6 / c,
			Servers: []bench.CPU{
				{Name: "edge", PerRequest: c * (1 - postgresShare)}, {Name: postgres, PerRequest: c * postgresShare},
			},
			Kinds: []bench.Kind{{Name: "page", Answers: 100, Tiers: map[string]int64{"near": 90, "render": 10}}}})
	}
	return all
}

func TestMediansAndTargets(t *testing.T) {
	t.Parallel()
	r := &run{cfg: Config{Page: bench.Page{Path: "/photos/ansel"}}, peers: []*peer{
		{name: oursNear, found: true, tier: "near", rounds: rounds(0, 10, 1000, 12)}, // one round had a bad second
		{name: nginxMemcached, found: true, rounds: rounds(0, 30, 24, 20)},
		{name: varnishCache, program: "varnishd"},
		{name: nginxFile, program: "nginx", found: true, rounds: rounds(0, 10, 10, 10)},
		{name: oursTogether, found: true, cold: true, rounds: rounds(0.25, 88, 88)},
		{name: plain, found: true, cold: true, rounds: rounds(0.5, 90, 110)},
	}}
	res := r.result(3)
	want := map[string]struct {
		ratio, alone float64
		met          bool
	}{
		oursNear + nginxMemcached: {12.0 / 24, 12.0 / 24, true},
		oursNear + nginxFile:      {1.2, 1.2, false},
		oursTogether + plain:      {0.88, 66.0 / 50, true},
	}
	for _, g := range res.Targets {
		w := want[g.Of+g.Against]
		if math.Abs(g.Ratio-w.ratio) > 1e-9 || math.Abs(g.Alone-w.alone) > 1e-9 || g.Met != w.met {
			t.Errorf("%+v, want %+v", g, w)
		}
	}
	var b strings.Builder
	if err := res.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"varnishd is not installed", "not known", "missed", "met\n",
		"10.0% of the answers came from another cache than intended", "10-1000",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestInterruptedRoundsDoNotCount(t *testing.T) {
	t.Parallel()
	p := &peer{name: plain, found: true, rounds: rounds(0, 10, 10, 500)}
	if s := p.summary(2); s.Servers != 10 || s.Most != 10 {
		t.Errorf("%+v, want the two complete rounds", s)
	}
	if s := (&peer{name: plain, found: true}).summary(0); s.Servers != 0 {
		t.Errorf("%+v of no round at all", s)
	}
}
