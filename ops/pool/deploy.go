package pool

import (
	"fmt"
	"slices"
	"strings"
)

// Deploy says which versions run.
type Deploy struct {
	Text     string
	UnderWay bool // more than one version runs
}

// develVersion is the version of programs that are no release, see main. From the same source `go run` and `go build`
// make different ones.
const develVersion = "0.0.0-devel"

// deployOf counts the versions of all that answer. Two of them mean that a deployment is under way, or was left so.
func deployOf(shot Snapshot) Deploy {
	count := map[string]int{}
	for _, i := range shot.Instances {
		count[i.version()]++
	}
	var words []string
	for version, n := range count {
		roles := "roles"
		if n == 1 {
			roles = "role"
		}
		words = append(words, fmt.Sprintf("%s on %d %s", version, n, roles))
	}
	slices.Sort(words)
	developing := !slices.ContainsFunc(words, func(w string) bool { return !strings.HasPrefix(w, develVersion) })
	switch len(count) {
	case 0:
		return Deploy{Text: "Nobody answers on the bus."}
	case 1:
		return Deploy{Text: fmt.Sprintf("One version everywhere: %s.", words[0])}
	}
	if developing {
		return Deploy{Text: fmt.Sprintf("Builds for development: %s.", strings.Join(words, ", "))}
	}
	return Deploy{Text: fmt.Sprintf("A deployment is under way: %s.", strings.Join(words, ", ")), UnderWay: true}
}

// buildLength is how much is shown of what tells builds of a version apart.
const buildLength = 8

// version is what an instance runs. Behind a plus sign is the hash of its program.
func (i Instance) version() string {
	version, build, _ := strings.Cut(i.Version, "+")
	if build == "" {
		return version
	}
	return version + "+" + build[:min(len(build), buildLength)]
}
