package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// vulnerabilities is the version of Go's vulnerability database, which is also a module and so comes from wherever
// modules come from. A newer one: go list -m golang.org/x/vulndb@latest
const vulnerabilities = "golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018"

// The requirements are complete and minimal, and the modules on this machine are those that go.sum names.
func TestModules(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"the program": ".", "the tools": "ops/tools", "the S3 server of tests": "ops/tools/s3server",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := command(t, nil, "go", "-C", dir, "mod", "tidy", "-diff"); err != nil {
				t.Errorf("run go -C %s mod tidy: %v\n%s", dir, err, out)
			}
			if out, err := command(t, nil, "go", "-C", dir, "mod", "verify"); err != nil {
				t.Errorf("go -C %s mod verify: %v\n%s", dir, err, out)
			}
		})
	}
}

// TestVulnerabilities: no package that the program imports has a known vulnerability. Those of the standard library are
// of the Go version that go.mod names, or of a newer one that runs the test.
func TestVulnerabilities(t *testing.T) {
	t.Parallel()
	var module struct{ Dir, Error string }
	out, err := command(t, nil, "go", "mod", "download", "-json", vulnerabilities)
	if jsonErr := json.Unmarshal([]byte(out), &module); err != nil || jsonErr != nil {
		t.Fatalf("go mod download %s: %v, %v\n%s", vulnerabilities, err, jsonErr, out)
	}
	database := "file://" + filepath.ToSlash(filepath.Join(module.Dir, "data", "osv"))
	out, err = command(t, []string{"GOFLAGS=", "GOTOOLCHAIN=auto"}, tool(t, "govulncheck"),
		"-format", "json", "-scan", "package", "-db", database, "./...")
	if err != nil {
		t.Fatalf("govulncheck: %v\n%s", err, out)
	}
	known := 0 // of the modules that are required, in any version
	said := map[string]bool{}
	messages := json.NewDecoder(strings.NewReader(out))
	for {
		var message struct {
			OSV     *struct{ ID string }
			Finding *struct {
				OSV          string
				FixedVersion string `json:"fixed_version"`
				Trace        []struct{ Module, Version, Package string }
			}
		}
		if err := messages.Decode(&message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("govulncheck: %v\n%s", err, out)
		}
		if message.OSV != nil {
			known++
		}
		if f := message.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Package != "" {
			p := f.Trace[0]
			if text := fmt.Sprintf("%s: %s of %s %s; mended in %s",
				f.OSV, p.Package, p.Module, p.Version, f.FixedVersion); !said[text] {
				said[text] = true
				t.Error(text)
			}
		}
	}
	if known == 0 {
		t.Errorf("the database in %s knows nothing of any module", database)
	}
}
