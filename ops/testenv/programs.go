package testenv

import (
	"testing"

	"flickrkillr/ops/setup"
)

// NATSCLI returns the path of the pinned NATS CLI, building it if need be, which takes a minute or two once.
func NATSCLI(t testing.TB) string {
	t.Helper()
	path, err := setup.NATSCLI(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Chromium returns the path of a Chromium or Chrome.
func Chromium(t testing.TB) string {
	t.Helper()
	path, err := setup.FindChromium()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// PageChecks returns the programs that check pages, installing them if need be, which takes some seconds once.
func PageChecks(t testing.TB) setup.PageChecks {
	t.Helper()
	checks, err := setup.FindPageChecks(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return checks
}
