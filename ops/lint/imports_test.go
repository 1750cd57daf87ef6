package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "flickrkillr"

// rules are the design's, as `package may not import X: why`. A name ends at a slash or at its end: "ops" is ops and
// all below it, and a rule for a package is a rule for everything below it. They hold for what is imported through
// others, too, but not for tests.
var rules = []struct{ from, may, why string }{
	{"edge", "github.com/jackc/pgx", "the renderer is the only one that knows rows"},
	{"edge", "github.com/a-h/templ", "new templates roll out without restarting an edge"},
	{"edge", "flickrkillr/templates", "new templates roll out without restarting an edge"},
	{"edge", "flickrkillr/renderer", "roles meet on the bus, not in code"},
	{"edge", "flickrkillr/cachefill", "roles meet on the bus, not in code"},
	{"edge/freshness", "flickrkillr/edge/cache", "nothing is deleted to be correct, so it knows no cache"},
	{"cachefill", "github.com/jackc/pgx", "the renderer is the only one that knows rows"},
	{"cachefill", "github.com/a-h/templ", "it stores replies as they are and does not read pages"},
	{"cachefill", "flickrkillr/templates", "it stores replies as they are and does not read pages"},
	{"cachefill", "flickrkillr/renderer", "roles meet on the bus, not in code"},
	{"cachefill", "flickrkillr/edge", "roles meet on the bus, not in code"},
	{
		"renderer",
		"github.com/bradfitz/gomemcache",
		"cachefill is the only one that writes the cache, the edge the only one that reads it",
	},
	{"renderer", "flickrkillr/schema/ring", "which memcached holds what is not the concern of a renderer"},
	{"renderer", "flickrkillr/edge", "roles meet on the bus, not in code"},
	{"renderer", "flickrkillr/cachefill", "roles meet on the bus, not in code"},
	{"renderer/store", "github.com/nats-io", "it knows rows and nothing else"},
	{"renderer/store", "flickrkillr/templates", "it returns rows, the renderer makes views of them"},
	{"renderer/words", "github.com/jackc/pgx", "it knows texts and nothing else"},
	{"renderer/query", "github.com/jackc/pgx", "it knows texts and nothing else"},
	{"renderer/pictures", "github.com/jackc/pgx", "it knows picture files and nothing else"},
	{"renderer/password", "github.com/jackc/pgx", "it knows passwords and nothing else"},
	{"renderer/password", "github.com/nats-io", "it knows passwords and nothing else"},
	{"renderer/passkey", "github.com/jackc/pgx", "it knows challenges and nothing else"},
	{"renderer/passkey", "github.com/nats-io", "it knows challenges and nothing else"},
	{"renderer/mail", "github.com/jackc/pgx", "it knows mails and nothing else"},
	{"renderer/mail", "github.com/nats-io", "it knows mails and nothing else"},
	{"renderer/pictures", "github.com/nats-io", "it knows picture files and nothing else"},
	{"templates", "github.com/jackc/pgx", "a view fetches nothing"},
	{"templates", "github.com/nats-io", "a view fetches nothing"},
	{"schema/page", "github.com", "the identity of a page needs the standard library alone"},
	{"schema/page", "golang.org", "the identity of a page needs the standard library alone"},
	{"schema/page", "flickrkillr/schema/wire", "messages are about pages, not the other way round"},
	{"schema/wire", "github.com/jackc/pgx", "messages do not depend on where their content comes from"},
	{"schema/wire", "flickrkillr/schema/migrations", "messages do not depend on where their content comes from"},
	{"ops/stack", "flickrkillr/edge", "services know nothing of the roles that use them"},
	{"ops/stack", "flickrkillr/renderer", "services know nothing of the roles that use them"},
	{"ops/stack", "flickrkillr/cachefill", "services know nothing of the roles that use them"},
	{"ops/stack", "flickrkillr/ops/site", "a site has services, not the other way round"},
	{"ops/site", "flickrkillr/ops/lab", "instruments measure a site; a site does not depend on them"},
	{"ops/site", "flickrkillr/ops/cli", "commands run a site, not the other way round"},
	{"ops/lab", "flickrkillr/ops/cli", "commands run instruments, not the other way round"},
	{"ops/lab/mutant", "flickrkillr/ops/site", "it builds programs and runs none"},
	{"ops/site", "github.com/alecthomas/kong", "only the command line knows flags"},
	{"ops/lab", "github.com/alecthomas/kong", "only the command line knows flags"},
}

// ours lists which of our own packages a package, and those below it, may import. Tests may import any.
var ours = map[string][]string{
	"": {"ops/cli"}, // signals and exit status are all that main knows
	"edge": {
		"edge",
		"schema/page",
		"schema/wire",
		"schema/payload",
		"schema/sleep",
		"schema/monotonic",
		"schema/ring",
		"schema/popularlist",
		"schema/discovery",
		"schema/histogram",
		"schema/zipfile",
	},
	"edge/fastpath":   {"schema/wire"}, // bytes of HTTP; it knows no pages
	"edge/proxy":      {},              // addresses; it knows no requests
	"edge/encryption": {"schema/wire", "schema/sleep", "schema/bucket"},
	"edge/freshness":  {"schema/wire", "schema/sleep", "schema/bucket"},
	"edge/session":    {"schema/wire", "schema/sleep", "schema/monotonic", "schema/bucket"},
	"edge/download":   {}, // knows pieces of files, and not where they come from
	"edge/upload":     {"schema/monotonic", "schema/page", "schema/wire"},
	"edge/cache":      {"edge/freshness", "schema/page", "schema/wire", "schema/ring"},
	"edge/popularity": {
		"edge/freshness", "edge/cache", "schema/page", "schema/wire", "schema/sleep", "schema/popularlist",
	},
	"cachefill": {
		"cachefill", "schema/page", "schema/wire", "schema/sleep", "schema/ring", "schema/popularlist",
		"schema/discovery", "schema/histogram",
	},
	"renderer": {
		"renderer", "schema/page", "schema/wire", "schema/sleep", "schema/monotonic", "schema/discovery", "templates",
		"schema/zipfile", "schema/takeout", "schema/histogram", "schema/payload",
	},
	"renderer/store":     {"schema/page", "renderer/query", "renderer/words"},
	"renderer/query":     {"renderer/words"},
	"renderer/words":     {},
	"renderer/outside":   {},
	"renderer/password":  {"renderer/outside", "schema/monotonic"},
	"renderer/passkey":   {},
	"renderer/mail":      {"schema/sleep"},
	"renderer/pictures":  {"renderer/outside", "renderer/pictures/heif", "schema/page", "schema/sleep"},
	"templates":          {"schema/page"},
	"schema/page":        {},
	"schema/wire":        {"schema/page", "schema/zipfile"},
	"schema/zipfile":     {},
	"schema/payload":     {}, // bytes of messages; it knows no subjects
	"schema/takeout":     {},
	"schema/ring":        {},
	"schema/sleep":       {},
	"schema/bucket":      {},
	"schema/monotonic":   {},
	"schema/popularlist": {"schema/page", "schema/wire", "schema/bucket"},
	"schema/discovery":   {"schema/wire", "schema/histogram"},
	"schema/histogram":   {},
	"schema/migrations":  {},
	"ops": {
		"ops", "schema", "renderer/password", "renderer/pictures", "renderer/store", "renderer/words",
	},
	// Commands wire every package; testenv is refused below.
	"ops/cli":      {""},
	"ops/compress": {"templates"},
	"ops/site":     {"ops", "schema", "edge", "renderer", "cachefill"}, // it runs the roles, in this process too
	// The site without a bus: the same rows and views, in one program.
	"ops/lab/ladder": {"ops", "schema", "renderer", "templates"},
	// It breaks a site from outside: processes and services, never the roles' code.
	"ops/lab/chaos": {
		"ops/fleet", "ops/lab/audit", "ops/lab/bench", "ops/lab/mutant", "ops/lab/person", "ops/lab/report",
		"ops/lab/scale", "ops/pool", "ops/site", "ops/stack", "schema/page", "schema/sleep", "schema/wire",
	},
	"ops/lab/mutant": {},
	"ops/fleet":      {}, // machines, and nothing of what runs on them
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string // all, through others too
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// within reports whether a path is a package or lies below it.
func within(path, pkg string) bool {
	return pkg == "" || path == pkg || strings.HasPrefix(path, pkg+"/")
}

// local is the path of one of our packages without the module's name: "" is main.
func local(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	met := map[string]bool{}
	for _, p := range packages(t) {
		name := local(p.ImportPath)
		for _, r := range rules {
			if name == "" || !within(name, r.from) {
				continue
			}
			met[r.from] = true
			for _, d := range p.Deps {
				if within(d, r.may) {
					t.Errorf("%s may not import %s: %s", name, d, r.why)
				}
			}
		}
	}
	for _, r := range rules {
		if !met[r.from] {
			t.Errorf("no package matches the rule for %s", r.from)
		}
	}
}

func TestRoomsImportOnlyTheirOwn(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		name := local(p.ImportPath)
		for _, d := range p.Imports {
			if !within(d, module) {
				continue
			}
			target := local(d)
			if within(target, "ops/testenv") || within(target, "ops/lint") || within(target, "ops/e2e") {
				t.Errorf("%s imports %s, which is for tests alone", p.ImportPath, target)
			}
			if !slices.ContainsFunc(allowed(name), func(a string) bool { return within(target, a) }) {
				t.Errorf("%s may not import %s: the layout in ARCHITECTURE.md says who may", p.ImportPath, target)
			}
		}
	}
}

// allowed is the list of the package itself or of the closest one above it.
func allowed(name string) []string {
	for at := name; ; {
		if list, ok := ours[at]; ok && (at != "" || name == "") {
			return list
		}
		i := strings.LastIndex(at, "/")
		if i < 0 {
			return nil
		}
		at = at[:i]
	}
}
