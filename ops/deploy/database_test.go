package deploy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flickrkillr/schema/wire"
)

const databaseSite = `[services]
memcached = ["10.0.0.1:11211"]
nats = ["nats://10.0.0.1:4222"]
pictures = "/srv/pictures"

[[host]]
name = "m1"
address = "10.0.0.1"
roles = ["edge", "renderer", "etcd", "postgres"]

[[host]]
name = "m2"
address = "10.0.0.2"
roles = ["edge", "renderer", "etcd", "postgres"]

[[host]]
name = "m3"
address = "10.0.0.3"
roles = ["etcd"]
`

// parseDatabase reads databaseSite with changes, as a deployment with a secret does.
func parseDatabase(t *testing.T, changes ...string) *Site {
	t.Helper()
	s, err := parse([]byte(strings.NewReplacer(changes...).Replace(databaseSite)), testFlags)
	if err != nil {
		t.Fatal(err)
	}
	s.secret = bytes.Repeat([]byte{7}, secretBytes)
	s.Services.Postgres = s.databaseURL(s.secret)
	return s
}

func configs(t *testing.T, s *Site) map[string]config {
	t.Helper()
	all := map[string]config{}
	for _, h := range s.Hosts {
		c, err := s.configOf(h)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = c
	}
	return all
}

// TestDatabaseErrors: what an operator gets wrong with PostgreSQL on hosts is said, with the line.
func TestDatabaseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, want string }{
		{`roles = ["etcd"]`, `roles = ["edge"]`, "6: host: 2 hosts have the role etcd: give it to 1, or to 3"},
		{`, "etcd", "postgres"]`, `, "postgres"]`, "host: hosts run etcd"},
		{`pictures =`, "postgres = \"postgres://a/b\"\npictures =",
			"4: services.postgres: hosts run postgres, so its address is known"},
		{`pictures =`, "postgres-memory = 3\npictures =", "4: services.postgres-memory: it is 3"},
		{`pictures =`, "postgres-from = [\"10.0.0.7\"]\npictures =", `4: services.postgres-from: "10.0.0.7" is no`},
	} {
		text := strings.Replace(databaseSite, c.from, c.to, 1)
		if c.to == `, "postgres"]` { // no host has etcd
			text = strings.NewReplacer(c.from, c.to, `["etcd"]`, `["edge"]`).Replace(databaseSite)
			c.want = "6: host: hosts run postgres, and none runs etcd"
		}
		if _, err := parse([]byte(text), testFlags); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.to, err, c.want)
		}
	}
	if _, err := parse([]byte(strings.ReplaceAll(databaseSite, `, "postgres"]`, "]")), testFlags); err == nil ||
		!strings.Contains(err.Error(), "hosts run etcd, and none runs postgres") {
		t.Errorf("etcd alone: %v", err)
	}
}

// TestDatabaseConfig: renderers know all hosts, and another voter restarts neither etcd nor PostgreSQL.
func TestDatabaseConfig(t *testing.T) {
	t.Parallel()
	s := parseDatabase(t)
	before := configs(t, s)
	password := s.secret.password("site")
	for path, want := range map[string]string{
		"renderer/postgres": "postgres://killr:" + password + "@10.0.0.1:5432,10.0.0.2:5432/killr?sslmode=disable\n",
		"renderer/postgres-read": "postgres://killr:" + password + "@10.0.0.2:5432/killr?sslmode=disable " +
			"postgres://killr:" + password + "@10.0.0.1:5432/killr?sslmode=disable\n",
		"postgres/site-password": password + "\n",
	} {
		f := before["m2"].files[credentialsDir+"/"+path]
		if string(f.content) != want || f.mode != 0o600 {
			t.Errorf("%s is %q, mode %o, want %q", path, f.content, f.mode, want)
		}
	}
	for host, c := range before {
		for path, f := range c.files {
			if f.mode&0o077 != 0 && strings.Contains(string(f.content), password) {
				t.Errorf("%s: others can read the password in %s", host, path)
			}
		}
	}
	var patroni struct {
		Postgresql struct {
			HBA []string `json:"pg_hba"`
		}
		Etcd3 struct{ Hosts []string }
	}
	if err := json.Unmarshal(before["m2"].files[credentialsDir+"/postgres/patroni"].content, &patroni); err != nil {
		t.Fatal(err)
	}
	for _, line := range patroni.Postgresql.HBA {
		if !strings.HasSuffix(line, " samenet scram-sha-256") && line != "local all postgres peer" {
			t.Errorf("a connection needs no password: %s", line)
		}
	}
	if got := strings.Join(patroni.Etcd3.Hosts, " "); got != "10.0.0.1:2379 10.0.0.2:2379 10.0.0.3:2379" {
		t.Errorf("Patroni asks %s", got)
	}

	other := configs(t, parseDatabase(t, "10.0.0.3", "10.0.0.4", "m3", "m4"))
	for _, role := range []wire.Role{roleEtcd, rolePostgres, wire.RoleRenderer} {
		if before["m1"].roles[role] != other["m1"].roles[role] {
			t.Errorf("another voter restarts %s", role)
		}
	}
	if before["m1"].hash == other["m1"].hash {
		t.Error("m1 does not learn of another voter")
	}
	more := configs(t, parseDatabase(t, "pictures =", "postgres-memory = 512\npictures ="))
	if before["m1"].roles[rolePostgres] == more["m1"].roles[rolePostgres] ||
		before["m1"].roles[roleEtcd] != more["m1"].roles[roleEtcd] {
		t.Error("more memory restarts etcd, or not PostgreSQL")
	}
}

// TestCertificates: hosts know each other by certificates, which are the same each time, and nobody else.
func TestCertificates(t *testing.T) {
	t.Parallel()
	of := func(s secret, address string) (tls.Certificate, *x509.CertPool) {
		t.Helper()
		files, err := s.certificates(address)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.certificates(address)
		if err != nil {
			t.Fatal(err)
		}
		for name := range files {
			if !bytes.Equal(files[name], again[name]) {
				t.Errorf("%s is another one each time", name)
			}
		}
		pair, err := tls.X509KeyPair(files["cert"], files["key"])
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(files["ca"]) {
			t.Fatal("no authority")
		}
		return pair, pool
	}
	s, other := secret(bytes.Repeat([]byte{1}, secretBytes)), secret(bytes.Repeat([]byte{2}, secretBytes))
	server, pool := of(s, "10.0.0.1")
	client, _ := of(s, "m2.example")
	stranger, strange := of(other, "m2.example")
	for _, c := range []struct {
		client tls.Certificate
		trusts *x509.CertPool
		name   string
		works  bool
	}{
		{client, pool, "10.0.0.1", true},
		{client, pool, "10.0.0.2", false},
		{stranger, pool, "10.0.0.1", false},
		{client, strange, "10.0.0.1", false},
	} {
		server, client := verified(t, server, c.trusts, c.name), verified(t, c.client, pool, "")
		if (server == nil && client == nil) != c.works {
			t.Errorf("%s: server %v, client %v", c.name, server, client)
		}
	}
	parsed, err := x509.ParseCertificate(server.Certificate[0])
	if err != nil || parsed.NotAfter.Year() < 2100 {
		t.Errorf("a certificate that ends would end the site: %v", err)
	}
}

// verified says why a certificate is not one of the hosts that are trusted, or not of that name; "": of any.
func verified(t *testing.T, pair tls.Certificate, trusts *x509.CertPool, name string) error {
	t.Helper()
	parsed, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	as := x509.ExtKeyUsageServerAuth
	if name == "" {
		as = x509.ExtKeyUsageClientAuth
	}
	_, err = parsed.Verify(x509.VerifyOptions{DNSName: name, Roots: trusts, KeyUsages: []x509.ExtKeyUsage{as}})
	return err
}

// TestMakeSecret: a secret is made once, and not while a host has a PostgreSQL with another one.
func TestMakeSecret(t *testing.T) {
	t.Parallel()
	runs := newState()
	runs.instances = []instance{{role: rolePostgres, active: "active"}}
	for name, c := range map[string]struct {
		m1          *state
		plan, makes bool
	}{
		"first deployment": {newState(), false, true},
		"first plan":       {newState(), true, true},
		"it runs one":      {runs, false, false},
		"it is left out":   {nil, false, false},
	} {
		s := parseDatabase(t)
		s.Path = filepath.Join(t.TempDir(), "site.toml")
		d := &deployment{Options: Options{Site: s, Plan: c.plan},
			have: map[string]*state{"m2": newState(), "m3": newState()}}
		if c.m1 != nil {
			d.have["m1"] = c.m1
		}
		err := d.makeSecret()
		if (err == nil) != c.makes || err != nil && !strings.Contains(err.Error(), "copy that file from the machine") {
			t.Errorf("%s: %v", name, err)
		}
		path := filepath.Join(filepath.Dir(s.Path), secretBeside)
		info, err := os.Stat(path)
		if there := err == nil; there != (c.makes && !c.plan) || there && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: the file is there: %t, %v", name, there, info)
		}
		if !c.makes || c.plan {
			continue
		}
		made := d.Site.secret
		if err := d.makeSecret(); err != nil || !bytes.Equal(made, d.Site.secret) {
			t.Errorf("%s: the next deployment makes another one: %v", name, err)
		}
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.makeSecret(); err == nil || !strings.Contains(err.Error(), "has no secret of 64") {
			t.Errorf("%s: half a secret was taken: %v", name, err)
		}
	}
}

// TestPlanDatabase: etcd and PostgreSQL begin before the database is migrated. For another configuration the primary is
// restarted last, and is a replica by then; one that is to end is replaced first.
func TestPlanDatabase(t *testing.T) {
	t.Parallel()
	with := func(config string, roles ...wire.Role) want {
		w := want{pair: pair{"A", "config-" + config, config}, config: map[wire.Role]string{},
			count: map[wire.Role]int{}}
		for _, role := range roles {
			w.config[role], w.count[role] = config, 1
		}
		return w
	}
	in := intent{hosts: []string{"m1", "m2"}, migrate: "m1", migrated: "A db", want: map[string]want{
		"m1": with("c", roleEtcd, rolePostgres), "m2": with("c", rolePostgres)}}
	have := map[string]*state{"m1": newState(), "m2": newState()}
	have["m2"].programs[rolePostgres] = true
	stages := planOf(in, have)
	got := strings.Join(steps(stages), "\n")
	expected := `m1 install etcd-server etcd-client
m1 switch to release A with configuration config-c
m1 start killr-etcd.service
m1 install postgresql patroni python3-idna
m1 start killr-postgres.service
m2 switch to release A with configuration config-c
m2 start killr-postgres.service
m1 migrate the database to release A`
	if !strings.HasSuffix(got, expected) {
		t.Errorf("from nothing:\n%s", got)
	}
	have = after(in, have, stages)
	if again := steps(planOf(in, have)); len(again) > 0 {
		t.Errorf("still to do: %q", again)
	}

	have["m2"].members = []member{{"m1", "Leader", "running", "-"}, {"m2", "Sync_Standby", "streaming", "0"}}
	have["m1"].members = have["m2"].members
	in.want = map[string]want{"m1": with("d", roleEtcd, rolePostgres), "m2": with("d", rolePostgres)}
	in.want["m1"].config[roleEtcd] = "c"
	var order []string
	for _, s := range steps(planOf(in, have)) {
		if strings.Contains(s, "postgres") || strings.Contains(s, "PostgreSQL") || strings.Contains(s, "etcd") {
			order = append(order, s)
		}
	}
	restarts := []string{
		"m2 make another host PostgreSQL's primary if this one is", "m2 start killr-postgres.service",
		"m1 make another host PostgreSQL's primary if this one is", "m1 start killr-postgres.service",
	}
	if strings.Join(order, "\n") != strings.Join(restarts, "\n") {
		t.Errorf("another configuration: %q", order)
	}

	in.want = map[string]want{"m1": {pair: with("c").pair, drained: true}, "m2": with("c", rolePostgres)}
	got = strings.Join(steps(planOf(in, have)), "\n")
	if !strings.Contains(got, "m1 make another host PostgreSQL's primary if this one is\n"+
		"m1 stop killr-postgres.service\nm1 stop killr-etcd.service") {
		t.Errorf("drained:\n%s", got)
	}
}

// TestVotersStay: when a deployment that made three voters of one is taken back, no etcd ends. It ends on a host whose
// place another one has taken, and when none is needed.
func TestVotersStay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ voters, stay, ends string }{
		"from three to one":      {"m1 m2 m3", "m1", "m4"},
		"half of them were":      {"m1 m2", "m1", "m3 m4"},
		"m4 has the place of m3": {"m1 m2 m3", "m1 m2 m4", "m3"},
		"m2 never was a voter":   {"m1", "m1", "m2 m3 m4"},
		"none has PostgreSQL":    {"m1 m2 m3", "", "m1 m2 m3 m4"},
		"etcd does not answer":   {"", "m1", "m2 m3 m4"},
		"one of three is ended":  {"m1 m2 m3", "m1 m2", "m3 m4"},
	} {
		in := intent{hosts: []string{"m1", "m2", "m3", "m4"}, want: map[string]want{}, together: true}
		have := map[string]*state{}
		for _, host := range in.hosts {
			s := newState()
			s.instances = []instance{{role: roleEtcd, active: "active", begins: true, config: "c"}}
			s.voters, have[host] = strings.Fields(c.voters), s
			w := want{pair: pair{"A", "config", "before"}, config: map[wire.Role]string{}, count: map[wire.Role]int{}}
			if strings.Contains(c.stay, host) {
				w.config[roleEtcd], w.count[roleEtcd] = "c", 1
			}
			in.want[host] = w
		}
		var ends []string
		for _, s := range steps(planOf(in, have)) {
			if host, found := strings.CutSuffix(s, " stop killr-etcd.service"); found {
				ends = append(ends, host)
			}
		}
		if want := strings.Fields(c.ends); !slices.Equal(ends, want) {
			t.Errorf("%s: etcd ends on %q, want %q", name, ends, want)
		}
	}
}

// TestCheckMove: a site that runs does not get an empty database.
func TestCheckMove(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		renders bool
		before  string // a host whose configuration in force has the role postgres
		can     bool
	}{
		"bare machines":           {false, "", true},
		"its renderers run":       {true, "", false},
		"it has the role already": {true, "m2", true},
	} {
		d := &deployment{Options: Options{Site: parseDatabase(t)}, have: map[string]*state{}}
		for _, host := range []string{"m1", "m2", "m3"} {
			s := newState()
			s.history, s.configs["c"] = []pair{{"A", "c", "d"}}, map[wire.Role]string{}
			if c.renders {
				s.instances = []instance{{role: wire.RoleRenderer, name: "1", active: "active"}}
			}
			if c.before == host {
				s.configs["c"][rolePostgres] = "p"
			}
			d.have[host] = s
		}
		if err := d.checkMove(); (err == nil) != c.can {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckMembers: a host that runs PostgreSQL, or most voters, are not left out of site.toml.
func TestCheckMembers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members []member
		voters  string
		want    string
	}{
		"as the file says": {[]member{{"m1", "Leader", "running", "-"}, {"m2", "Replica", "streaming", "0"}},
			"m1 m2 m3", ""},
		"a host that was taken out": {[]member{{"m1", "Replica", "running", "0"}, {"m4", "Leader", "running", "-"}},
			"m1 m2 m3", "m4 runs PostgreSQL, and "},
		"one that was drained": {[]member{{"m1", "Leader", "running", "-"}, {"m4", "Replica", "stopped", "-"}},
			"m1 m2 m3", ""},
		"one voter replaced":     {nil, "m1 m2 m9", ""},
		"two voters replaced":    {nil, "m1 m8 m9", "etcd has the voters m1, m8, m9, and "},
		"one voter, now three":   {nil, "m1", ""},
		"etcd does not answer":   {nil, "", ""},
		"no voter of the file's": {nil, "m9", "etcd has the voters m9, and "},
	} {
		d := &deployment{Options: Options{Site: parseDatabase(t)}, hosts: []string{"m1", "m2", "m3"},
			have: map[string]*state{"m1": newState(), "m2": newState(), "m3": newState()}}
		d.have["m2"].members, d.have["m2"].voters = c.members, strings.Fields(c.voters)
		err := d.checkMembers()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckLeftOut: most voters, and one PostgreSQL, are needed by each command.
func TestCheckLeftOut(t *testing.T) {
	t.Parallel()
	s := parseDatabase(t)
	for without, can := range map[string]bool{"": true, "m1": true, "m3": true, "m1 m2": false, "m1 m3": false} {
		if err := (Options{Site: s, Without: strings.Fields(without)}).checkLeftOut(); (err == nil) != can {
			t.Errorf("without %q: %v", without, err)
		}
	}
	one := parseDatabase(t)
	one.Hosts[0].Roles = []wire.Role{roleEtcd}
	if err := (Options{Site: one, Without: []string{"m2"}}).checkLeftOut(); err == nil {
		t.Error("the only PostgreSQL may be left out")
	}
}
