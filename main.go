// Command killr is Flickr Killr: a photo site whose edges ask a bus, and whichever renderer is free answers.
//
// This package is the command line and the wiring: it fills the roles' Configs, starts what it is asked to start, and stops it in
// order. In flow flags, environment variables and signals; out flow an exit status, one line with the address, and logs. It is
// the only place that knows every room; it holds no logic of the site itself.
//
//	main.go     the command tree, signals, the exit status
//	up.go       the whole site on this machine
//	roles.go    one role, in this process
//	spawn.go    one role, as a process of its own
//	limits.go   which numbers are allowed
//	ready.go    what is logged while a role cannot serve
//	warm.go     fill memcached by hand
//	audit.go    an audit, of a running site or of one of its own (auditsite.go); throwaway.go is the database for such
//	database.go migrate and seed; progress.go shows how far it is
//	bench.go    the benchmark; benchprogress.go shows how it goes on; benchpeers.go sets others beside it
//	ladder.go   the talk of 2007, climbed again; ladderscale.go adds renderers;
//	            roleprocesses.go has the sites that are measured
//	group.go    things that run side by side and stop together
//	log.go      logs for people and for machines
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"flickrkillr/ops/setup"
)

// version is what `nats micro ls` and `killr version` show; CHANGELOG.md says what it means.
const version = "1.0.0"

// commands is the whole command line. Nearly every flag is an environment variable too: KILLR_ and its name, unless it
// says otherwise. Flags that choose what is written to must be typed: `env:"-"`. Every number has a tag `min` and where it matters `max`, see limits.go.
type commands struct {
	Data      string `default:".killr" type:"path" placeholder:"DIR" help:"Data directory of 'up': the database, the pictures, and stack.env, in which other commands find the addresses of the services (default ${default})."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Log messages of this level and above: debug, info, warn or error (default ${default})."`
	LogFormat string `default:"auto" enum:"auto,pretty,text,json" help:"Format of the log: pretty, text, json, or auto, which is pretty on a terminal and text elsewhere (default ${default})."`

	Up        upCommand        `cmd:"" help:"Run the whole site on this machine: services, migrations, demonstration data, every role."`
	Edge      edgeCommand      `cmd:"" help:"Run an edge: answer browsers over HTTP, by asking the bus."`
	Renderer  rendererCommand  `cmd:"" help:"Run a renderer: make pages from the database, for whichever edge asks the bus."`
	Cachefill cachefillCommand `cmd:"" help:"Run a cachefill: keep popular pages in memcached."`
	Warm      warmCommand      `cmd:"" help:"Fill memcached now with the pages that the edges count as popular."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the database to this version's schema."`
	Seed      seedCommand      `cmd:"" help:"Fill an empty database with the demonstration data."`
	Audit     auditCommand     `cmd:"" help:"Test the caches: change photos, view them through every edge, inject faults, and compare each answer with the database."`
	Bench     benchCommand     `cmd:"" help:"Load a running site as browsers do, and report latency and failures."`
	Ladder    ladderCommand    `cmd:"" help:"Measure the site's older designs, from a CGI process for each page to today's, on the same page of the same database."`
	Setup     setupCommand     `cmd:"" help:"Install what 'up' and the tests need; does nothing if all of it is installed."`
	Version   versionCommand   `cmd:"" help:"Print the version."`

	Rung     rungCommand     `cmd:"" hidden:"" help:"Serve one of the older versions of the site, for the ladder and the benchmark."`
	Bus      busCommand      `cmd:"" hidden:"" help:"Run the bus alone, for the ladder and the benchmark."`
	Together togetherCommand `cmd:"" hidden:"" help:"Run a bus, a renderer and an edge in one process, for the benchmark."`
}

// session is what every command is given besides its own flags.
type session struct {
	ctx    context.Context // ends at the first Ctrl-C or SIGTERM
	data   string          // the data directory
	log    *slog.Logger
	stdout io.Writer
	stderr io.Writer
	flags  []*kong.Flag // all, as parsed: roles started as processes are given the same
}

// gcPercent is how much may be allocated between two collections, in hundredths of what is live; GOGC overrules it. Every role makes much that is
// soon dropped and keeps little, so that Go's own 100 collects too often. Measured on pages that are in no cache: 3 to 5% of the processor time.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means what it says
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		cancel()
		<-signals // whoever asks twice does not want to wait; our children end with us
		os.Exit(130)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main for tests: it parses, does what is asked and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commands
	status := -1
	parser, err := kong.New(&cli, kong.Name("killr"), kong.UsageOnError(), kong.DefaultEnvars("KILLR"),
		kong.Description("A photo site: edges ask a bus, and whichever renderer is free answers. `killr up` runs all of it on this machine."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		commandVars(), kong.Writers(stdout, stderr), kong.Exit(func(code int) { status = code }))
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
	log, err := newLogger(stderr, cli.LogLevel, cli.LogFormat)
	if err != nil {
		fmt.Fprintln(stderr, "killr:", err)
		return 2
	}
	slog.SetDefault(log)
	err = chosen.Run(&session{ctx: ctx, data: cli.Data, log: log, stdout: stdout, stderr: stderr, flags: chosen.Flags()})
	if err == nil || (ctx.Err() != nil && errors.Is(err, context.Canceled)) { // told to stop, and stopped
		return 0
	}
	fmt.Fprintln(stderr, "killr:", err)
	return 1
}

// commandVars are the variables in the flags' tags.
func commandVars() kong.Vars {
	names := faultNames()
	return kong.Vars{"faults": strings.Join(names, ","), "fault_list": `"` + strings.Join(names, `", "`) + `"`}
}

// explain says what is wrong with the command line, and what could stand there instead. parsed is nil if kong refused it.
func explain(w io.Writer, parser *kong.Kong, parsed *kong.Context, err error) {
	if wrong, ok := errors.AsType[*kong.ParseError](err); ok {
		parsed = wrong.Context
	}
	if parsed != nil && parsed.Selected() != nil {
		fmt.Fprintf(w, "killr: %v (see killr %s --help)\n", err, parsed.Selected().Name)
		return
	}
	said := strings.Replace(err.Error(), "unexpected argument", "there is no command", 1)
	if strings.HasPrefix(said, "expected one of") { // kong names only the first commands
		said = "say what to do"
	}
	fmt.Fprintf(w, "killr: %s\nThe commands are:\n", said)
	for _, command := range parser.Model.Leaves(true) {
		fmt.Fprintf(w, "  %-10s %s\n", command.Name, command.Help)
	}
	fmt.Fprintln(w, "See killr COMMAND --help for the flags of one.")
}

type setupCommand struct {
	Tests bool `default:"true" negatable:"" help:"Also install what only the tests need: Chromium and the NATS CLI (default: yes)."`
}

func (c *setupCommand) Run(s *session) error {
	return setup.Run(s.ctx, setup.Config{Tests: c.Tests, Out: s.stdout})
}

type versionCommand struct{}

func (versionCommand) Run(s *session) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, v := range info.Settings {
			if v.Key == "vcs.revision" {
				revision = " " + v.Value
			}
		}
	}
	_, err := fmt.Fprintf(s.stdout, "killr %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
