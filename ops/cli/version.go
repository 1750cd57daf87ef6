package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCommand struct{}

// buildDigits is how many hexadecimal digits of the program's SHA-256 name a build, in its version and in the folders
// of releases.
const buildDigits = 16

// release is the version of this build and, behind a plus sign, which semantic versions allow, the name of the build:
// programs of the same version may differ. Roles tell it to the bus.
func (s *session) release() string {
	build, err := buildName()
	if err != nil {
		s.log.Warn("the version lacks the name of the build", "err", err)
		return s.version
	}
	separator := "+"
	if strings.Contains(s.version, "+") { // Go adds +dirty
		separator = "."
	}
	return s.version + separator + build
}

// buildName is made from all bytes of this program, so it is not in the program.
func buildName() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	program, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer program.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, program); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil))[:buildDigits], nil
}

func (versionCommand) Run(s *session) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, v := range info.Settings {
			if v.Key == "vcs.revision" {
				revision = " " + v.Value
			}
		}
	}
	_, err := fmt.Fprintf(s.stdout, "killr %s%s %s %s/%s\n", s.release(), revision, runtime.Version(),
		runtime.GOOS, runtime.GOARCH)
	return err
}
