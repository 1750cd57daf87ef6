package setup

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// The programs that check pages, axe-core and html-validate, come from npm. The lock file has the hash of each package.
var (
	//go:embed npm/package.json
	npmManifest []byte
	//go:embed npm/package-lock.json
	npmLock []byte
)

// PageChecks are installed programs that check pages.
type PageChecks struct {
	Axe          string // a script that finds barriers in the page that a browser shows
	HTMLValidate string // a script for Node.js that checks HTML files
}

// FindPageChecks returns the programs that check pages, and installs them if they are not there, which takes some
// seconds. It needs npm. Only one process installs; the others wait for it. out is told what is going on.
func FindPageChecks(ctx context.Context, out io.Writer) (PageChecks, error) {
	dir := cacheDir(fmt.Sprintf("pagechecks-%x", sha256.Sum256(npmLock))[:27])
	modules := filepath.Join(dir, "installed", "node_modules")
	checks := PageChecks{
		Axe:          filepath.Join(modules, "axe-core", "axe.min.js"),
		HTMLValidate: filepath.Join(modules, "html-validate", "bin", "html-validate.mjs"),
	}
	there := func() bool {
		_, err := os.Stat(modules)
		return err == nil
	}
	if err := makeOnce(dir, there, func() error { return installPageChecks(ctx, dir, out) }); err != nil {
		return PageChecks{}, fmt.Errorf("install the checks of pages: %w", err)
	}
	return checks, nil
}

// installPageChecks has npm install what the lock file lists. No script of a package runs.
func installPageChecks(ctx context.Context, dir string, out io.Writer) error {
	fmt.Fprintln(out, "installing axe-core and html-validate by npm (some seconds, once)")
	making := filepath.Join(dir, "making")
	if err := os.RemoveAll(making); err != nil { // of an installation that was cut short
		return err
	}
	if err := os.Mkdir(making, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"package.json": npmManifest, "package-lock.json": npmLock} {
		if err := os.WriteFile(filepath.Join(making, name), data, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = making
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, said)
	}
	return os.Rename(making, filepath.Join(dir, "installed"))
}

func findNPM() (string, error) { return exec.LookPath("npm") }
