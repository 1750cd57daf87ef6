package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// credentialPrefix is in front of the names of credentials. A unit says LoadCredential=killr:DIRECTORY, and systemd
// joins that name and those of the files.
const credentialPrefix = "killr_"

// credentials resolves flags that are neither typed nor in the environment from the credentials that systemd passes, in
// a directory: the file killr_nats-seed is for --nats-seed. A flag that wants a file gets its path, others what is in
// it. So a secret is in no command line and in no environment, which other processes can read.
func credentials(dir string) kong.ResolverFunc {
	return func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		inEnvironment := func(name string) bool { return os.Getenv(name) != "" }
		if dir == "" || len(flag.Envs) == 0 || slices.ContainsFunc(flag.Envs, inEnvironment) {
			return nil, nil
		}
		file := filepath.Join(dir, credentialPrefix+flag.Name)
		value, err := os.ReadFile(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read a credential: %w", err)
		case flag.Tag.Type == "path":
			return file, nil
		}
		return strings.TrimSpace(string(value)), nil
	}
}
