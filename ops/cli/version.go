package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

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
	_, err := fmt.Fprintf(s.stdout, "killr %s%s %s %s/%s\n", s.version, revision, runtime.Version(),
		runtime.GOOS, runtime.GOARCH)
	return err
}
