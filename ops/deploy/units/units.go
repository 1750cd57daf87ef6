// Package units has the units of systemd by which a machine runs roles.
//
// **Input**: none. **Output**: the text of each unit. **Must not touch**: any machine; packages and deployments install
// them, byte for byte the same.
//
// Units expect the program at /opt/killr/current/killr, its flags as variables in /etc/killr/site.env and
// /etc/killr/<role>.env, secrets below /etc/killr/credentials/<role>, a user killr, and pictures in /var/lib/killr.
package units

import (
	"embed"
	"io/fs"
)

//go:embed *.service *.socket *.target
var files embed.FS

// Unit is a file for /etc/systemd/system or /usr/lib/systemd/system.
type Unit struct {
	Name string // killr-edge@.service
	Text []byte
}

// All are the units, in the order of their names.
func All() []Unit {
	var all []Unit
	entries, err := fs.ReadDir(files, ".")
	for _, entry := range entries {
		var text []byte
		if text, err = files.ReadFile(entry.Name()); err != nil {
			break
		}
		all = append(all, Unit{entry.Name(), text})
	}
	if err != nil { // what is embedded can be read
		panic(err)
	}
	return all
}
