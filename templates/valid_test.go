package templates

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"flickrkillr/ops/testenv"
)

// validateConfig has html-validate apply the rules of the HTML standard.
const validateConfig = `{"root": true, "extends": ["html-validate:standard"]}`

// TestValidHTML: every page is valid HTML, by html-validate. It finds the mistakes of a page that is not.
func TestValidHTML(t *testing.T) {
	t.Parallel()
	checks := testenv.PageChecks(t)
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".htmlvalidate.json", []byte(validateConfig))
	names := map[string]string{}
	for name, component := range everyPage(testSite(t)) {
		file := fmt.Sprintf("%02d.html", len(names))
		names[file] = name
		write(file, render(t, component).body)
	}
	write("broken.html", []byte(`<!DOCTYPE html><html lang="en"><head><title>x</title></head><body>
		<p class="a" class="b"></div><ul><p>x</p></ul><input type="nothing"></body></html>`))
	cmd := exec.CommandContext(t.Context(), "node", checks.HTMLValidate, "--formatter", "json", "--config",
		filepath.Join(dir, ".htmlvalidate.json"), filepath.Join(dir, "*.html"))
	// What Node.js writes to a pipe is cut when it ends.
	report, err := os.Create(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = report, &said
	ended := cmd.Run() // its status says that the broken page is broken
	out, err := os.ReadFile(report.Name())
	if err != nil {
		t.Fatal(err)
	}
	var results []struct {
		FilePath string
		Messages []struct {
			RuleID, Message string
			Line, Column    int
		}
	}
	if bad := json.Unmarshal(out, &results); bad != nil {
		t.Fatalf("html-validate: %v, %v\n%s%s", ended, bad, out, said.String())
	}
	broken := map[string]bool{}
	for _, r := range results {
		name := names[filepath.Base(r.FilePath)]
		for _, m := range r.Messages {
			if name == "" {
				broken[m.RuleID] = true
				continue
			}
			t.Errorf("%s, line %d: %s (%s)", name, m.Line, m.Message, m.RuleID)
		}
	}
	for _, rule := range []string{
		"no-dup-attr", "close-order", "element-permitted-content", "attribute-allowed-values",
	} {
		if !broken[rule] {
			t.Errorf("a broken page is not found by %s; found: %v", rule, broken)
		}
	}
}
