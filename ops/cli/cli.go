package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"flickrkillr/ops/lab/chaos"
	"flickrkillr/ops/site"
)

// commands is the whole command line. Nearly every flag is an environment variable too: KILLR_ and its name, unless it
// says otherwise. Flags that choose what is written to must be typed: `env:"-"`. Every number has a tag `min` and where
// it matters `max`, see limits.go.
type commands struct {
	Data      string `default:".killr" type:"path" placeholder:"DIR" help:"Data directory of 'up': the database, the pictures, and stack.env, in which other commands find the addresses of the services (default ${default})."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Log messages of this level and above: debug, info, warn or error (default ${default})."`
	LogFormat string `default:"auto" enum:"auto,pretty,text,json" help:"Format of the log: pretty, text, json, or auto, which is pretty on a terminal and text elsewhere (default ${default})."`

	Up        upCommand        `cmd:"" help:"Run the whole site on this machine: services, migrations, demonstration data, every role."`
	Edge      edgeCommand      `cmd:"" help:"Run an edge: answer browsers over HTTP, by asking the bus."`
	Renderer  rendererCommand  `cmd:"" help:"Run a renderer: make pages from the database, for whichever edge asks the bus."`
	Cachefill cachefillCommand `cmd:"" help:"Run a cachefill: keep popular pages in memcached."`
	Warm      warmCommand      `cmd:"" help:"Fill memcached now with the pages that the edges count as popular."`
	Top       topCommand       `cmd:"" help:"Show who is on the bus, what they do and how long requests wait, each second."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the database to this version's schema."`
	Seed      seedCommand      `cmd:"" help:"Fill an empty database with the demonstration data."`
	Audit     auditCommand     `cmd:"" help:"Test the caches: change photos, view them through every edge, inject faults, and compare each answer with the database."`
	Bench     benchCommand     `cmd:"" help:"Load a running site as browsers do, and report latency and failures."`
	Chaos     chaosCommand     `cmd:"" help:"Break a site of its own, one thing after another, while visitors load it, and report what they notice."`
	Ladder    ladderCommand    `cmd:"" help:"Measure the site's older designs, from a CGI process for each page to today's, on the same page of the same database."`
	Setup     setupCommand     `cmd:"" help:"Install what 'up' and the tests need; does nothing if all of it is installed."`
	Login     loginCommand     `cmd:"" help:"Make a token with your name and password, and keep it for programs; --logout ends it."`
	Whoami    whoamiCommand    `cmd:"" help:"Print whose account the token belongs to."`
	Upload    uploadCommand    `cmd:"" help:"Upload the pictures of a folder, with the token that 'login' keeps."`
	Pictures  picturesCommand  `cmd:"" help:"Copy the pictures of a site to another place."`
	Import    importCommand    `cmd:"" help:"Import what you have taken out of this site or of Flickr: photos, albums, tags, dates, descriptions."`
	Bus       busCommand       `cmd:"" help:"Show and check what each role may do on the bus."`
	Deploy    deployCommand    `cmd:"" help:"Bring the hosts of site.toml to this release, over ssh, one instance after the other."`
	Rollback  rollbackCommand  `cmd:"" help:"Bring the hosts of site.toml back to what they ran before the last deployment."`
	Add       addCommand       `cmd:"" help:"Bring one host of site.toml to what the others run; lets a drained one run again."`
	Drain     drainCommand     `cmd:"" help:"Take one host out: others start what it runs, then all on it stops."`
	Scale     scaleCommand     `cmd:"" help:"Change the number of a role's instances, in site.toml and on the hosts."`
	Status    statusCommand    `cmd:"" help:"Show what each host of site.toml runs."`
	Version   versionCommand   `cmd:"" help:"Print the version."`

	Hash     hashCommand     `cmd:"" hidden:"" help:"Hash the passwords that a renderer sends to standard input."`
	Picture  pictureCommand  `cmd:"" hidden:"" help:"Decode the pictures that a renderer sends to standard input."`
	Rung     rungCommand     `cmd:"" hidden:"" help:"Serve one of the older versions of the site, for the ladder and the benchmark."`
	Together togetherCommand `cmd:"" hidden:"" help:"Run a bus, a renderer and an edge in one process, for the benchmark."`
}

// session is what every command gets besides its own flags.
type session struct {
	ctx     context.Context // ends at the first Ctrl-C or SIGTERM
	version string          // of this build
	data    string          // the data directory
	log     *slog.Logger
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	flags   []*kong.Flag // all, as parsed: roles started as processes are given the same
}

// Program is killr as the main package or a test runs it.
type Program struct {
	Version        string    // of this build
	Stdin          io.Reader // nil: os.Stdin
	Stdout, Stderr io.Writer
}

// Run parses the command line, does what it asks for until ctx ends, and returns the exit status.
func (p Program) Run(ctx context.Context, args []string) int {
	stdout, stderr := p.Stdout, p.Stderr
	if slices.Equal(args, []string{"--version"}) { // as other programs take it
		args = []string{"version"}
	}
	var cli commands
	status := -1
	parser, err := kong.New(
		&cli,
		kong.Name("killr"),
		kong.UsageOnError(),
		kong.DefaultEnvars("KILLR"),
		kong.Resolvers(credentials(os.Getenv("CREDENTIALS_DIRECTORY"))),
		kong.Description(
			"A photo site: edges ask a bus, and any free renderer answers. `killr up` runs it all on this machine.",
		),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		commandVars(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { status = code }),
	)
	if err != nil {
		fmt.Fprintln(stderr, "killr:", err)
		return 2
	}
	chosen, err := parser.Parse(joinNegatives(args))
	if status >= 0 { // --help
		return status
	}
	if err == nil {
		err = checkLimits(chosen.Flags())
	}
	if err != nil {
		explain(stderr, parser, chosen, err)
		return 2
	}
	log, flush, err := newLogger(stderr, cli.LogLevel, cli.LogFormat)
	if err != nil {
		fmt.Fprintln(stderr, "killr:", err)
		return 2
	}
	slog.SetDefault(log)
	err = chosen.Run(
		&session{
			ctx:     ctx,
			version: p.Version,
			data:    cli.Data,
			log:     log,
			stdin:   cmp.Or(p.Stdin, io.Reader(os.Stdin)),
			stdout:  stdout,
			stderr:  stderr,
			flags:   chosen.Flags(),
		},
	)
	flush()
	if _, wrong := errors.AsType[errUsage](err); wrong {
		explain(stderr, parser, chosen, err)
		return 2
	}
	if err == nil || (ctx.Err() != nil && errors.Is(err, context.Canceled)) { // told to stop, and stopped
		return 0
	}
	fmt.Fprintln(stderr, "killr:", err)
	return 1
}

// commandVars are the variables in the flags' tags.
func commandVars() kong.Vars {
	var names []string
	for _, f := range site.Faults() {
		names = append(names, f.Name)
	}
	return kong.Vars{"faults": strings.Join(names, ","), "fault_list": `"` + strings.Join(names, `", "`) + `"`,
		"rows": strings.Join(append(chaos.Names(), chaos.FleetNames()...), ",")}
}
