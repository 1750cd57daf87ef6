package main

import (
	_ "embed"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"flickrkillr/ops/testenv"
)

//go:embed compose.yaml
var compose []byte

// composeService is what the test reads of a service.
type composeService struct {
	Image       string
	Command     []string
	Environment map[string]string
	Volumes     []string
	ReadOnly    bool `yaml:"read_only"`
	DependsOn   map[string]struct {
		Condition string
	} `yaml:"depends_on"`
}

// TestCompose: the compose file runs each role by a command that there is, with flags and variables that it knows.
func TestCompose(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]composeService
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(compose, &file); err != nil {
		t.Fatal(err)
	}
	program, known := testenv.Program(t), ""
	for _, command := range append([]string{"migrate"}, roles...) {
		s, ok := file.Services[command]
		if !ok || len(s.Command) == 0 || s.Command[0] != command || !s.ReadOnly ||
			!strings.HasPrefix(s.Image, "killr:") {
			t.Errorf("%s: %+v", command, s)
			continue
		}
		out, err := exec.Command(program, command, "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		known += string(out)
		for _, word := range s.Command[1:] {
			if strings.HasPrefix(word, "--") && !strings.Contains(string(out), word+"=") {
				t.Errorf("%s has no flag %s", command, word)
			}
		}
	}
	for name, s := range file.Services {
		for _, volume := range s.Volumes {
			if from, _, _ := strings.Cut(volume, ":"); !slices.Contains(slices.Collect(maps.Keys(file.Volumes)), from) {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		for on := range s.DependsOn {
			if _, there := file.Services[on]; !there {
				t.Errorf("%s: there is no service %s", name, on)
			}
		}
	}
	for variable := range file.Services["renderer"].Environment {
		if !regexp.MustCompile(`\$` + variable + `\b`).MatchString(known) {
			t.Errorf("no flag of a role has the variable %s", variable)
		}
	}
	if !slices.Contains(file.Services["renderer"].Volumes, "pictures:"+imageState) {
		t.Errorf("the pictures are not in a volume: %q", file.Services["renderer"].Volumes)
	}
}
