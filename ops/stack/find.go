package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// MissingError says that a program is not on this machine, and what to do about it.
type MissingError struct {
	Program string
	Detail  string // optional
}

func (e *MissingError) Error() string {
	s := e.Program + " was not found"
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s + ": `go run . setup` installs what is missing"
}

// FindMemcached returns the path of the memcached program, or a *MissingError.
func FindMemcached() (string, error) {
	return findProgram("memcached", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
}

func findProgram(name string, dirs ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return path, nil
		}
	}
	return "", &MissingError{Program: name}
}

// PostgresPrograms is one installed PostgreSQL server: where its programs lie, and its major version.
type PostgresPrograms struct {
	Dir   string
	Major int
}

// oldestPostgres is the oldest major version that the project's SQL is written for.
const oldestPostgres = 14

// FindPostgres returns the newest installed server, or, if major is not 0, the one of that major version, the only one
// that can read a cluster of that version. Distributions keep the server's programs out of PATH, so the usual places
// are searched, too.
func FindPostgres(major int) (PostgresPrograms, error) {
	var found []PostgresPrograms
	for _, dir := range postgresDirs() {
		if v, ok := postgresMajor(dir); ok {
			found = append(found, PostgresPrograms{Dir: dir, Major: v})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Major > found[j].Major })
	var have []string
	for _, p := range found {
		if p.Major == major || (major == 0 && p.Major >= oldestPostgres) {
			return p, nil
		}
		have = append(have, fmt.Sprintf("%d in %s", p.Major, p.Dir))
	}
	if major == 0 {
		return PostgresPrograms{}, &MissingError{
			Program: "PostgreSQL server",
			Detail:  fmt.Sprintf("version %d or newer, with initdb", oldestPostgres),
		}
	}
	return PostgresPrograms{}, fmt.Errorf(
		"the data was written by PostgreSQL %d, which is not installed (found: %s)",
		major,
		strings.Join(have, ", "),
	)
}

func postgresDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",              // Debian, Ubuntu
		"/usr/pgsql-*/bin",                       // PGDG on Red Hat
		"/opt/homebrew/opt/postgresql@*/bin",     // Homebrew, Apple silicon
		"/usr/local/opt/postgresql@*/bin",        // Homebrew, Intel
		"/usr/libexec/postgresql*",               // Alpine
		"/usr/local/pgsql/bin", "/usr/local/bin", // built by hand; the official container image
	} {
		matches, _ := filepath.Glob(pattern) // the only possible error is a bad pattern
		dirs = append(dirs, matches...)
	}
	return dirs
}

// postgresMajor asks the program itself: the folder's name is only a convention.
func postgresMajor(dir string) (int, bool) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, false
	}
	// Postgres (PostgreSQL) 15.14 (Debian ...).
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(out), "(PostgreSQL) ")
	if !ok {
		return 0, false
	}
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 1 {
		return 0, false
	}
	major, err := strconv.Atoi(rest[:digits])
	return major, err == nil
}
