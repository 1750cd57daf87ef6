package peers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"flickrkillr/ops/lab/rig"
)

// findVarnish returns the path of varnishd; false if it is not installed.
func findVarnish() (string, bool) {
	for _, name := range [...]string{
		"varnishd", "/usr/sbin/varnishd", "/usr/local/sbin/varnishd", "/opt/homebrew/sbin/varnishd",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// varnishConfig caches the answers of a program for an hour, whatever their headers say.
func varnishConfig(origin string) (string, error) {
	host, port, err := net.SplitHostPort(origin)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`vcl 4.1;
backend site { .host = %q; .port = %q; }
sub vcl_backend_response { set beresp.ttl = 1h; }
`, host, port), nil
}

// varnish is Varnish in front of origin; all its files are in dir.
func varnish(program, dir, addr, origin string) (rig.Process, error) {
	config, err := varnishConfig(origin)
	if err != nil {
		return rig.Process{}, err
	}
	vcl := filepath.Join(dir, "site.vcl")
	if err := os.WriteFile(vcl, []byte(config), 0o644); err != nil {
		return rig.Process{}, err
	}
	return rig.Process{Name: "varnish", Command: func() *exec.Cmd {
		// -j none: no change of user. -T none: no management port, so no file with its secret is left behind.
		return exec.Command(
			program, "-F", "-j", "none", "-n", filepath.Join(dir, "work"), "-a", addr, "-T", "none", "-f", vcl, "-s",
			"malloc,64m",
		)
	}}, nil
}
