package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// TestREADMEsExamples runs every line of "Look inside" as it stands there, with the real NATS command line, psql and
// curl, on a small site.
func TestREADMEsExamples(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## Look inside")
	_, block, _ := strings.Cut(section, "```sh\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("README has no examples in Look inside")
	}
	postgres, err := stack.FindPostgres(0)
	if err != nil {
		t.Fatal(err)
	}
	data := testenv.DataDir(t)
	cli := testenv.NATSCLI(t)
	site := start(t, testenv.UpArgs(data)...)
	home := testenv.SiteURL(t, site)

	setUp := ". " + filepath.Join(data, stack.EnvFile) + "\n"
	block = strings.ReplaceAll(block, ". .killr/stack.env", ":")
	block = strings.ReplaceAll(block, "http://127.0.0.1:8080/", home)
	block = strings.ReplaceAll(block, "1532", "1") // the small site has fewer photos
	shell := func(line string) (*exec.Cmd, *bytes.Buffer) {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "sh", "-c", setUp+line)
		cmd.Env = append(
			os.Environ(),
			"PATH="+filepath.Dir(cli)+":"+postgres.Dir+":"+os.Getenv("PATH"),
			"PGSSLMODE=disable",
		)
		cmd.Stdout, cmd.Stderr = &out, &out
		return cmd, &out
	}
	wants := map[string][]string{
		"nats micro ls":              {"edge", "renderer", "cachefill"},
		"nats micro stats edge":      {"user", "photo"},
		"nats micro stats renderer":  {"user", "photo-edit"},
		"nats req page.user.ansel":   {"killr/1 200"},
		"nats req action.photo.edit": {"user."},
		"psql":                       {"UPDATE 1"},
		"curl":                       {"200 OK", "X-Depends: all="},
		"nats sub 'page.>'":          {"page."},
		"nats sub 'changed.>'":       {"changed."},
	}
	ran := 0
	check := func(line string, err error, out *bytes.Buffer) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		for command, words := range wants {
			if !strings.HasPrefix(line, command) {
				continue
			}
			ran++
			for _, word := range words {
				if !strings.Contains(out.String(), word) {
					t.Errorf("%s says nothing of %q:\n%s", line, word, out)
				}
			}
		}
	}
	var listening []func()
	for line := range strings.Lines(block) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
		line = strings.TrimSpace(line)
		// Until something has come: for pages the next request, for changes the next second's heartbeat.
		if strings.HasPrefix(line, "nats sub") {
			cmd, out := shell("exec " + line + " --count 1")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			listening = append(listening, func() { check(line, cmd.Wait(), out) })
			continue
		}
		cmd, out := shell(line)
		check(line, cmd.Run(), out)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for _, wait := range listening {
			wait()
		}
	}()
	for done := false; !done; { // a subscription may have come up after the requests before
		cmd, _ := shell("nats req page.user.ansel ''")
		_ = cmd.Run()
		select {
		case <-heard:
			done = true
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		default:
		}
	}
	if ran < len(wants) {
		t.Errorf("%d of %d examples were found in:\n%s", ran, len(wants), block)
	}
}
