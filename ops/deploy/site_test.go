package deploy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flickrkillr/schema/wire"
)

// testFlags are some flags, as ops/cli finds them.
var testFlags = Flags{
	"":                 {"log-level": {Variable: "KILLR_LOG_LEVEL"}},
	wire.RoleEdge:      {"origin": {Variable: "KILLR_ORIGIN"}, "tls-cert": {Variable: "KILLR_TLS_CERT", File: true}},
	wire.RoleRenderer:  {"page-workers": {Variable: "KILLR_PAGE_WORKERS"}, "heic": {Variable: "KILLR_HEIC"}},
	wire.RoleCachefill: {"fill-workers": {Variable: "KILLR_FILL_WORKERS"}},
}

const testSite = `# Three machines.
[services]
nats = ["nats://10.0.0.1:4222", "nats://10.0.0.2:4222"]
postgres = "postgres://killr:se$cret@10.0.0.9/killr"
memcached = ["10.0.0.1:11211"]
pictures = "/srv/pictures"

[counts]
renderer = 5 # of all hosts

[[host]]
name = "m1"
address = "10.0.0.1"
roles = ["edge", "renderer", "cachefill"]

[[host]]
name = "admin@m2"
roles = ["edge", "renderer"]

[all]
log-level = "debug"

[edge]
origin = ["https://a.example", "https://b.example"]

[renderer]
page-workers = 4
heic = true
`

func TestSite(t *testing.T) {
	t.Parallel()
	s, err := parse([]byte(testSite), testFlags)
	if err != nil {
		t.Fatal(err)
	}
	want := []Host{
		{"m1", "10.0.0.1", []wire.Role{wire.RoleEdge, wire.RoleRenderer, wire.RoleCachefill}},
		{"admin@m2", "m2", []wire.Role{wire.RoleEdge, wire.RoleRenderer}},
	}
	if diff := cmp.Diff(want, s.Hosts); diff != "" {
		t.Error(diff)
	}
	if s.Counts[wire.RoleRenderer] != 5 || s.Counts[wire.RoleCachefill] != 1 {
		t.Errorf("counts %v", s.Counts)
	}
	c, err := s.configOf(s.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"etc/killr/site.env": "KILLR_LOG_LEVEL=\"debug\"\nMEMCACHED_SERVERS=\"10.0.0.1:11211\"\n" +
			"NATS_URL=\"nats://10.0.0.1:4222,nats://10.0.0.2:4222\"\n",
		"etc/killr/edge.env": "KILLR_CONFIG=\"" + c.roles[wire.RoleEdge] + "\"\nKILLR_EDGE_DRAIN=\"2s\"\n" +
			"KILLR_ORIGIN=\"https://a.example,https://b.example\"\n",
		"etc/killr/renderer.env": "KILLR_CONFIG=\"" + c.roles[wire.RoleRenderer] + "\"\nKILLR_HEIC=\"true\"\n" +
			"KILLR_PAGE_WORKERS=\"4\"\nKILLR_PICTURES=\"/srv/pictures\"\n",
		"etc/killr/credentials/renderer/postgres": "postgres://killr:se$cret@10.0.0.9/killr\n",
	} {
		f, there := c.files[path]
		if got := string(f.content); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
		if there && f.mode&0o077 != 0 {
			t.Errorf("others can read %s: mode %o", path, f.mode)
		}
	}
	// An edge is restarted for what it reads, and for nothing else.
	before := c.roles
	s.flags[wire.RoleRenderer]["KILLR_HEIC"] = "false"
	if c, err = s.configOf(s.Hosts[0]); err != nil {
		t.Fatal(err)
	}
	if c.roles[wire.RoleEdge] != before[wire.RoleEdge] || c.roles[wire.RoleRenderer] == before[wire.RoleRenderer] {
		t.Error("a flag of renderers changes what edges read, or not what renderers read")
	}
}

// TestSiteErrors: an error names the line, the key, and what is allowed.
func TestSiteErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, want string }{
		{`pictures =`, `picture =`, "6: services.picture: there is no such key: services has " +
			"nats, nats-ca, nats-seeds, postgres, memcached, memcached-memory, pictures"},
		{`[counts]`, `[count]`, "8: count: there is no such key: the file has host, counts, services, all, edge, "},
		{`address = "10.0.0.1"`, `adress = "10.0.0.1"`, "13: host.adress: there is no such key: host has name, " +
			"address, roles"},
		{`heic = true`, `heics = true`, "28: renderer.heics: there is no such flag: renderer has heic, page-workers"},
		{`log-level = "debug"`, `nats = "x"`, "21: all.nats: there is no such flag: all has log-level"},
		{`renderer = 5`, `renderer = 5000`, "9: counts.renderer: it is 5000, and may be 0 to 1000"},
		{`renderer = 5`, `renderer = "5"`, "9: "},
		{`roles = ["edge", "renderer"]`, `roles = ["edges"]`, `18: host[1].roles: there is no role "edges": roles are`},
		{`name = "admin@m2"`, `name = "m1"`, "17: host[1].name: m1 is there twice"},
		{`name = "admin@m2"`, `name = "-oProxyCommand=x"`, "17: host[1].name: "},
		{`pictures = "/srv/pictures"`, ``, "2: services.pictures: [services] has no pictures"},
		{`page-workers = 4`, `page-workers = "a\nb"`, "27: renderer.page-workers: "},
		{`origin = ["https://a.example",`, `origin = ["https://a.example,b",`, "24: edge.origin: "},
		{`[edge]`, `[edge]` + "\n" + `tls-cert = ["a", "b"]`, "24: edge.tls-cert: it is the name of one file"},
	} {
		text := strings.Replace(testSite, c.from, c.to, 1)
		if text == testSite {
			t.Fatalf("%s is not in the file", c.from)
		}
		_, err := parse([]byte(text), testFlags)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.to, err, c.want)
		}
	}
}

// TestSetCount: a count changes, and nothing else does.
func TestSetCount(t *testing.T) {
	t.Parallel()
	set := func(text string, role wire.Role, n int) string {
		t.Helper()
		out, err := setCount([]byte(text), role, n)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parse(out, testFlags)
		if err != nil || s.Counts[role] != n {
			t.Errorf("%v, %s", err, out)
		}
		return string(out)
	}
	want := strings.Replace(testSite, "renderer = 5 #", "renderer = 12 #", 1)
	if got := set(testSite, wire.RoleRenderer, 12); got != want {
		t.Error(cmp.Diff(want, got))
	}
	want = strings.Replace(testSite, "[counts]\n", "[counts]\ncachefill = 3\n", 1)
	if got := set(testSite, wire.RoleCachefill, 3); got != want {
		t.Error(cmp.Diff(want, got))
	}
	without := strings.Replace(testSite, "[counts]\nrenderer = 5 # of all hosts\n", "", 1)
	if got := set(without, wire.RoleRenderer, 3); got != without+"\n[counts]\nrenderer = 3\n" {
		t.Error(got)
	}
	set(without+"[counts]", wire.RoleRenderer, 4)
	if _, err := setCount([]byte(testSite), wire.RoleEdge, 2); err == nil {
		t.Error("edges were scaled")
	}
}
