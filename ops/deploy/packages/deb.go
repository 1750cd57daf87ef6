package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"flickrkillr/ops/deploy/units"
)

//go:embed debian
var debian embed.FS

// roles are those that have a folder of credentials.
var roles = []string{"edge", "renderer", "cachefill"}

// control describes the package to dpkg. `systemd` has what units use from 250 on.
const control = `Package: killr
Version: %s
Architecture: %s
Maintainer: Flickr Killr <packages@flickrkillr.invalid>
Section: web
Priority: optional
Depends: systemd (>= 250)
Recommends: ca-certificates
Description: photo site over NATS
 Edges answer browsers, renderers make pages, cachefills keep popular ones in
 memcached. Configure them in /etc/killr, and start them by systemctl.
`

// writeDeb writes a package for Debian with a program. It needs dpkg-deb.
func writeDeb(ctx context.Context, p program, to string) error {
	dir, err := os.MkdirTemp("", "killr-deb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := p.layOut(dir); err != nil {
		return fmt.Errorf("lay out the package: %w", err)
	}
	build := exec.CommandContext(ctx, "dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", dir, to)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the package: %w: %s", err, out)
	}
	return nil
}

// layOut writes what the package has, and what dpkg reads of it, to a folder.
func (p program) layOut(dir string) error {
	files := map[string][]byte{"DEBIAN/control": fmt.Appendf(nil, control, debianVersion(p.version), p.arch),
		"DEBIAN/conffiles": []byte("/etc/killr/site.env\n")}
	for from, to := range map[string]string{
		"postinst": "DEBIAN/postinst", "prerm": "DEBIAN/prerm", "postrm": "DEBIAN/postrm",
		"site.env": "etc/killr/site.env", "killr.sysusers": "usr/lib/sysusers.d/killr.conf",
	} {
		text, err := debian.ReadFile("debian/" + from)
		if err != nil {
			return err
		}
		files[to] = text
	}
	for _, u := range units.All() {
		files["lib/systemd/system/"+u.Name] = u.Text
	}
	release := "opt/killr/releases/" + p.build
	files[release+"/killr"] = p.bytes
	modes := map[string]fs.FileMode{"DEBIAN/postinst": 0o755, "DEBIAN/prerm": 0o755, "DEBIAN/postrm": 0o755,
		"etc/killr/site.env": 0o600, release + "/killr": 0o755}
	var errs []error
	for name, text := range files {
		errs = append(errs, writeFile(filepath.Join(dir, name), text, modes[name]))
	}
	for _, role := range roles {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, "etc/killr/credentials", role), 0o755),
			os.Chmod(filepath.Join(dir, "etc/killr/credentials", role), 0o700))
	}
	return errors.Join(append(errs,
		os.Chmod(filepath.Join(dir, "etc/killr/credentials"), 0o700),
		os.Symlink("releases/"+p.build, filepath.Join(dir, "opt/killr/current")),
		os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755),
		os.Symlink("/opt/killr/current/killr", filepath.Join(dir, "usr/bin/killr")),
		os.Chmod(dir, 0o755))...)
}

// writeFile writes a file and the folders above it. mode 0 is 0644.
func writeFile(name string, text []byte, mode fs.FileMode) error {
	if mode == 0 {
		mode = 0o644
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, text, mode); err != nil {
		return err
	}
	return os.Chmod(name, mode) // whatever the umask
}

// debianVersion is a semantic version as dpkg compares it: before 1.0.0 come its pre-releases, 1.0.0~rc.1.
func debianVersion(version string) string {
	number, build, _ := strings.Cut(version, "+")
	number = strings.ReplaceAll(strings.Replace(number, "-", "~", 1), "-", ".")
	return strings.Join(slices.DeleteFunc([]string{number, build}, func(s string) bool { return s == "" }), "+")
}
