package deploy

import (
	"embed"
	"fmt"
	"strings"
	"time"
)

// scripts are what steps run on hosts, with bash, as root.
//
//go:embed scripts/*.sh
var scripts embed.FS

// A script goes on when the ssh that began it was killed. So steps hold a lock on their host. A command that has the
// lock of deployments waits for those of a command before it, and then reads what the host has.
const (
	stepsOpen  = "mkdir -p -m 700 /run/killr-deploy\nexec 8>>/run/killr-deploy/steps\n" // root's: others could hold it
	stepsLock  = stepsOpen + "flock --shared --wait 240 8\n"
	stepsEnded = stepsOpen +
		"flock --wait 240 8 || { echo 'a step of a command that was cut short goes on here: wait'; exit 1; } >&2\n"
)

// scriptOf returns a script by its name.
func scriptOf(name string) string {
	text, err := scripts.ReadFile("scripts/" + name + ".sh")
	if err != nil {
		panic(err) // it is part of this program
	}
	return string(text)
}

// How long steps may take. An instance has the time that its unit gives it to start or to finish its requests.
const (
	stepLimit    = time.Minute
	copyLimit    = 15 * time.Minute
	migrateLimit = time.Hour
	unitLimit    = 5 * time.Minute
)

// doing says how an action is done: its script, its words in the list of steps, and how long it may take.
var doing = map[action]struct {
	script, words string
	limit         time.Duration
}{
	prepare:     {"prepare", "make the user killr and its directories", stepLimit},
	copyRelease: {"release", "copy release", copyLimit},
	writeConfig: {"config", "copy configuration", stepLimit},
	drainHost:   {"drain", "note that it is drained", stepLimit},
	fillHost:    {"fill", "note that it is not drained", stepLimit},
	migrate:     {"migrate", "migrate the database to release", migrateLimit},
	switchTo:    {"switch", "switch to release", stepLimit},
	openSocket:  {"open", "open", stepLimit},
	closeSocket: {"close", "close", stepLimit},
	start:       {"start", "start", unitLimit},
	stop:        {"stop", "stop", unitLimit},
	handOver:    {"handover", "make another host PostgreSQL's primary if this one is", unitLimit},
	install:     {"install", "install", copyLimit},
	tidy:        {"tidy", "remove", stepLimit},
}

// String says what a step does: "m1  start killr-renderer@2.service".
func (s step) String() string {
	words := doing[s.do].words
	switch s.do {
	case start, stop:
		words += " " + unitOf(s.role, s.name)
	case openSocket, closeSocket, tidy, install:
		words += " " + strings.Join(s.names, " ")
	case copyRelease, migrate:
		words += " " + s.pair.release
	case writeConfig:
		words += " " + s.pair.config
	case switchTo:
		words += fmt.Sprintf(" %s with configuration %s", s.pair.release, s.pair.config)
	}
	return fmt.Sprintf("%-10s  %s", s.host, words)
}

// args are the arguments of the step's script.
func (s step) args(in intent) []string {
	switch s.do {
	case start, stop:
		return []string{unitOf(s.role, s.name)}
	case handOver:
		return []string{s.host}
	case openSocket, closeSocket, tidy, install:
		return s.names
	case copyRelease:
		return []string{s.pair.release}
	case writeConfig:
		return []string{s.pair.config}
	case migrate:
		return []string{s.pair.release, s.pair.config, in.migrated}
	case switchTo:
		back := ""
		if s.back {
			back = "back"
		}
		return []string{s.pair.release, s.pair.config, s.pair.deployment, back}
	}
	return nil
}
