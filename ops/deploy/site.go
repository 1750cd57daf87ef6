package deploy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"flickrkillr/schema/wire"
)

// rollOrder is the order in which roles are upgraded: edges ask renderers for what renderers of the release before do
// not know. A rollback goes the other way.
var rollOrder = []wire.Role{wire.RoleRenderer, wire.RoleCachefill, wire.RoleEdge}

// These are services that a host may run. They are restarted in their place, in this order, before roles are upgraded,
// and only for another configuration.
const (
	roleEtcd      wire.Role = "etcd"
	rolePostgres  wire.Role = "postgres"
	roleMemcached wire.Role = "memcached"
	roleNATS      wire.Role = "nats"
)

var serviceOrder = []wire.Role{roleEtcd, rolePostgres, roleMemcached, roleNATS}

// roleNames are the roles that a host may have, for people.
const roleNames = "edge, renderer, cachefill, nats, memcached, postgres, etcd"

// seedsBeside is the directory of the seeds that are made for a bus of this site's own, beside site.toml.
const seedsBeside = "nkeys"

// maxCount bounds the instances of a role.
const maxCount = 1000

// Site is what site.toml says.
type Site struct {
	Path     string
	Hosts    []Host            // in the order in which they are upgraded; the first keeps the lock
	Counts   map[wire.Role]int // instances on all hosts together; edges are one a host
	Services Services

	secret secret                          // of PostgreSQL on hosts; nil: there is none, or it was not read
	flags  map[wire.Role]map[string]string // flags of a role, as environment variables; "": of all roles
	paths  map[wire.Role]map[string]string // flags of a role that name a file on the machine that deploys
}

// Host is one machine.
type Host struct {
	Name    string // as ssh knows it
	Address string // as the other hosts reach it
	Roles   []wire.Role
}

// Runs reports whether the host has the role.
func (h Host) Runs(role wire.Role) bool { return slices.Contains(h.Roles, role) }

// Services is where the services are that site.toml names.
type Services struct {
	NATS      []string `toml:"nats"`
	NATSCA    string   `toml:"nats-ca"`    // path on the machine that deploys; "": none
	NATSSeeds string   `toml:"nats-seeds"` // directory with the seeds of the roles; "": NATS asks for none
	Postgres  string   `toml:"postgres"`
	Memcached []string `toml:"memcached"`
	CacheMiB  int      `toml:"memcached-memory"` // of each memcached that hosts run, in MiB; 0: 256
	Pictures  string   `toml:"pictures"`         // a directory that all see, or s3://...; "": /var/lib/killr/pictures

	BuffersMiB   int      `toml:"postgres-memory"` // of each PostgreSQL that hosts run, in MiB; 0: 256
	PostgresFrom []string `toml:"postgres-from"`   // networks from which it takes connections; nil: its own ("samenet")
}

// siteFile is site.toml as it is written.
type siteFile struct {
	Hosts []struct {
		Name    string   `toml:"name"`
		Address string   `toml:"address"`
		Roles   []string `toml:"roles"`
	} `toml:"host"`
	Counts struct {
		Renderer  *int `toml:"renderer"`
		Cachefill *int `toml:"cachefill"`
	} `toml:"counts"`
	Services  Services       `toml:"services"`
	All       map[string]any `toml:"all"`
	Edge      map[string]any `toml:"edge"`
	Renderer  map[string]any `toml:"renderer"`
	Cachefill map[string]any `toml:"cachefill"`
}

// Flags says which flags a role has. "": those of all roles.
type Flags map[wire.Role]map[string]Flag

// Flag is a flag of a role.
type Flag struct {
	Variable string // of the environment
	File     bool   // it names a file, which is copied to the hosts
}

// Load reads site.toml. Errors name the line, the key, and what is allowed.
func Load(path string, flags Flags) (*Site, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: write it, as ops/deploy/README.md shows, or say --site", path)
	}
	if err != nil {
		return nil, err
	}
	s, err := parse(text, flags)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	s.Path = path
	base := filepath.Dir(path)
	beside := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(base, path)
	}
	if len(s.with(roleNATS)) > 0 && s.Services.NATSSeeds != seedsBeside {
		return nil, fmt.Errorf("%s: hosts run nats, so nats-seeds is %s: leave it out", path, seedsBeside)
	}
	s.Services.NATSCA, s.Services.NATSSeeds = beside(s.Services.NATSCA), beside(s.Services.NATSSeeds)
	for _, paths := range s.paths {
		for flag, path := range paths {
			paths[flag] = beside(path)
		}
	}
	return s, nil
}

func parse(text []byte, flags Flags) (*Site, error) {
	var f siteFile
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, explain(err)
	}
	at := linesOf(text)
	if n := f.Services.CacheMiB; n < 0 || n > 1<<20 {
		return nil, at.wrong("services.memcached-memory", "it is %d, and may be 0 to %d", n, 1<<20)
	}
	s := &Site{Services: f.Services, Counts: map[wire.Role]int{}, flags: map[wire.Role]map[string]string{},
		paths: map[wire.Role]map[string]string{}}
	if err := s.addHosts(f, at); err != nil {
		return nil, err
	}
	if err := s.checkDatabase(f, at); err != nil {
		return nil, err
	}
	if len(s.with(rolePostgres)) == 0 {
		s.Services.Postgres = cmp.Or(s.Services.Postgres, os.Getenv("DATABASE_URL"))
	}
	s.addServices()
	for role, n := range map[wire.Role]*int{
		wire.RoleRenderer: f.Counts.Renderer, wire.RoleCachefill: f.Counts.Cachefill,
	} {
		hosts := len(s.with(role))
		s.Counts[role] = hosts
		if n == nil {
			continue
		}
		key := "counts." + string(role)
		if *n < 0 || *n > maxCount {
			return nil, at.wrong(key, "it is %d, and may be 0 to %d", *n, maxCount)
		}
		if hosts == 0 && *n > 0 {
			return nil, at.wrong(key, "no host has the role %s", role)
		}
		s.Counts[role] = *n
	}
	for role, table := range map[wire.Role]map[string]any{
		"": f.All, wire.RoleEdge: f.Edge, wire.RoleRenderer: f.Renderer, wire.RoleCachefill: f.Cachefill,
	} {
		if err := s.addFlags(role, table, flags, at); err != nil {
			return nil, err
		}
	}
	return s, s.complete(at)
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,252}$`)

func (s *Site) addHosts(f siteFile, at lines) error {
	for i, h := range f.Hosts {
		key := fmt.Sprintf("host[%d]", i)
		if !hostName.MatchString(h.Name) {
			return at.wrong(key+".name", "%q is no name of a host, as ssh takes it", h.Name)
		}
		if s.host(h.Name) != nil {
			return at.wrong(key+".name", "%s is there twice", h.Name)
		}
		host := Host{Name: h.Name, Address: cmp.Or(h.Address, h.Name[strings.LastIndex(h.Name, "@")+1:])}
		for _, name := range h.Roles {
			role := wire.Role(name)
			if !slices.Contains(rollOrder, role) && !slices.Contains(serviceOrder, role) {
				return at.wrong(key+".roles", "there is no role %q: roles are %s", name, roleNames)
			}
			if !host.Runs(role) {
				host.Roles = append(host.Roles, role)
			}
		}
		if len(host.Roles) == 0 {
			return at.wrong(key+".roles", "%s has no role: give it some of %s", h.Name, roleNames)
		}
		s.Hosts = append(s.Hosts, host)
	}
	return nil
}

// addServices adds the services that hosts run to those that are named.
func (s *Site) addServices() {
	for _, h := range s.with(roleMemcached) {
		s.Services.Memcached = append(s.Services.Memcached, net.JoinHostPort(h.Address, "11211"))
	}
	for _, h := range s.with(roleNATS) {
		s.Services.NATS = append(s.Services.NATS, "nats://"+net.JoinHostPort(h.Address, "4222"))
	}
	if len(s.with(roleNATS)) > 0 && s.Services.NATSSeeds == "" {
		s.Services.NATSSeeds = seedsBeside
	}
}

// addFlags turns the flags of a table into environment variables.
func (s *Site) addFlags(role wire.Role, table map[string]any, flags Flags, at lines) error {
	name := cmp.Or(string(role), "all")
	s.flags[role], s.paths[role] = map[string]string{}, map[string]string{}
	for _, flag := range slices.Sorted(maps.Keys(table)) {
		key := name + "." + flag
		is, known := flags[role][flag]
		if !known {
			return at.wrong(key, "there is no such flag: %s has %s", name,
				strings.Join(slices.Sorted(maps.Keys(flags[role])), ", "))
		}
		value, err := flagText(table[flag])
		if err != nil {
			return at.wrong(key, "%v", err)
		}
		if path, text := table[flag].(string); is.File && text {
			s.paths[role][flag] = path
			continue
		}
		if is.File {
			return at.wrong(key, "it is the name of one file")
		}
		s.flags[role][is.Variable] = value
	}
	return nil
}

// flagText is a value of a flag as its environment variable has it.
func flagText(value any) (string, error) {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	var words []string
	for _, v := range list {
		var word string
		switch v.(type) {
		case string, bool, int64, float64:
			word = fmt.Sprint(v)
		default:
			return "", errors.New("it is a text, a number, true or false, or a list of those")
		}
		if isList && strings.Contains(word, ",") {
			return "", fmt.Errorf("%q has a comma, by which lists are separated", word)
		}
		words = append(words, word)
	}
	text := strings.Join(words, ",")
	return text, checkText(text)
}

// checkText refuses what neither systemd nor a shell reads from a file of variables.
func checkText(text string) error {
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("%q has a control character", text)
	}
	return nil
}

// complete says which service is missing for the roles that there are.
func (s *Site) complete(at lines) error {
	if len(s.Hosts) == 0 {
		return at.wrong("host", "there is no host: add [[host]] with name and roles")
	}
	for _, missing := range []struct {
		key, what string
		is        bool
	}{
		{"services.nats", `nats: say nats = ["nats://HOST:4222"]`, len(s.Services.NATS) == 0},
		{"services.postgres", "postgres: give hosts the role postgres, say its address, or set DATABASE_URL",
			len(s.with(wire.RoleRenderer)) > 0 && s.Services.Postgres == "" && len(s.with(rolePostgres)) == 0},
		{"services.memcached", `memcached: say memcached = ["HOST:11211"]`,
			len(s.with(wire.RoleEdge, wire.RoleCachefill)) > 0 && len(s.Services.Memcached) == 0},
		{"services.pictures", "pictures: renderers on several hosts need a directory that all of them see, or s3://...",
			len(s.with(wire.RoleRenderer)) > 1 && s.Services.Pictures == ""},
	} {
		if missing.is {
			return at.wrong(missing.key, "[services] has no %s", missing.what)
		}
	}
	texts := slices.Concat(s.Services.NATS, s.Services.Memcached, []string{s.Services.Postgres, s.Services.Pictures})
	for _, text := range texts {
		if err := checkText(text); err != nil {
			return at.wrong("services", "%v", err)
		}
	}
	return nil
}

// host is the host of that name; nil: there is none.
func (s *Site) host(name string) *Host {
	for i := range s.Hosts {
		if s.Hosts[i].Name == name {
			return &s.Hosts[i]
		}
	}
	return nil
}

// with lists the hosts that have one of the roles.
func (s *Site) with(roles ...wire.Role) (all []Host) {
	for _, h := range s.Hosts {
		if slices.ContainsFunc(roles, h.Runs) {
			all = append(all, h)
		}
	}
	return all
}

// explain makes one line of an error of the TOML library.
func explain(err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		first := strict.Errors[0]
		line, _ := first.Position()
		key := first.Key()
		table := key[:len(key)-1]
		return fmt.Errorf("%d: %s: there is no such key: %s has %s", line, strings.Join(key, "."),
			cmp.Or(strings.Join(table, "."), "the file"), strings.Join(keysOf(table), ", "))
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return fmt.Errorf("%d: %s: %s", line, strings.Join(wrong.Key(), "."),
			strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return fmt.Errorf("1: %w", err)
}

// keysOf lists the keys that a table of site.toml may have.
func keysOf(table []string) (names []string) {
	at := reflect.TypeFor[siteFile]()
	for _, name := range table {
		for i := range at.NumField() {
			if at.Field(i).Tag.Get("toml") != name {
				continue
			}
			at = at.Field(i).Type
			if at.Kind() == reflect.Slice {
				at = at.Elem()
			}
			break
		}
		if at.Kind() != reflect.Struct {
			return nil
		}
	}
	for i := range at.NumField() {
		names = append(names, at.Field(i).Tag.Get("toml"))
	}
	return names
}
