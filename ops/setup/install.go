package setup

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

//go:embed apt.sh
var aptScript []byte

// install brings the missing programs by the machine's own package manager.
func install(ctx context.Context, out io.Writer, missing []need) error {
	cmd, err := installer(ctx, missing)
	if err != nil {
		return fmt.Errorf("%s: %w; install it by hand: %s", names(missing), err, byHand(missing))
	}
	fmt.Fprintf(out, "installing %s\n", names(missing))
	cmd.Stdout, cmd.Stderr = out, out
	// Interrupted, the package manager is asked to end: killed half-way it would leave its locks and its policy behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("install %s: %w; by hand: %s", names(missing), err, byHand(missing))
	}
	return nil
}

// installer is the command that installs the missing programs here.
func installer(ctx context.Context, missing []need) (*exec.Cmd, error) {
	if _, err := exec.LookPath("apt-get"); err == nil {
		return aptInstaller(ctx, missing)
	}
	if _, err := exec.LookPath("brew"); err == nil {
		var steps []string
		for _, n := range missing { // formulae and casks cannot be mixed in one call
			if n.brew == nil {
				continue // it is a part of the system, and remains missing
			}
			steps = append(steps, "brew install "+strings.Join(n.brew, " "))
		}
		cmd := exec.CommandContext(ctx, "sh", "-ec", strings.Join(steps, "\n"))
		cmd.Env = append(os.Environ(), "HOMEBREW_NO_INSTALL_UPGRADE=1", "HOMEBREW_NO_INSTALL_CLEANUP=1")
		return cmd, nil
	}
	return nil, errNoInstaller
}

func aptInstaller(ctx context.Context, missing []need) (*exec.Cmd, error) {
	args := []string{"sh", "-s", "--"}
	for _, n := range missing {
		args = append(args, strings.Join(aptPackages(n), "|"))
	}
	if os.Geteuid() != 0 {
		sudo, err := exec.LookPath("sudo")
		if err != nil {
			return nil, fmt.Errorf("not root, and no sudo here")
		}
		args = append([]string{sudo}, args...)
		if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			args = append([]string{sudo, "-n"}, args[1:]...) // nobody is there to type a password
		}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(aptScript)
	return cmd, nil
}

// aptPackages are the packages of which one is enough, the best first, and last one that every release has. On Ubuntu
// Chromium comes as a snap, behind a package of another name.
func aptPackages(n need) []string {
	if n.apt != "chromium" {
		return []string{n.apt}
	}
	if release, err := os.ReadFile("/etc/os-release"); err == nil && bytes.Contains(release, []byte("\nID=ubuntu")) {
		return []string{"chromium-browser"}
	}
	return []string{"chromium-headless-shell", n.apt}
}

// byHand tells what to install where we cannot.
func byHand(missing []need) string {
	var packages []string
	for _, n := range missing {
		all := aptPackages(n)
		packages = append(packages, all[len(all)-1])
	}
	return "`apt-get install " + strings.Join(
		packages,
		" ",
	) + "` on Debian or Ubuntu as root; elsewhere the packages of those names"
}
