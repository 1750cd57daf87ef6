package deploy

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// machines names the processors by what uname says.
var machines = map[elf.Machine]string{elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "aarch64"}

// readRelease reads the binary's hash, and refuses one that a host cannot run.
func (d *deployment) readRelease() error {
	binary, err := os.Open(d.Binary)
	if err != nil {
		return err
	}
	defer func() { _ = binary.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, binary); err != nil {
		return fmt.Errorf("read %s: %w", d.Binary, err)
	}
	d.release = hex.EncodeToString(sum.Sum(nil))[:hashLength]
	program, err := elf.NewFile(binary)
	if err != nil {
		return nil // a script, which the hosts run if they can
	}
	for _, host := range d.hosts {
		if is := machines[program.Machine]; is != "" && d.have[host].machine != is {
			return fmt.Errorf("%s is a program for %s, and %s is %s: say --binary, one that is for all hosts",
				d.Binary, is, host, d.have[host].machine)
		}
	}
	return nil
}

// makeConfigs makes the configuration of each host.
func (d *deployment) makeConfigs() error {
	for _, h := range d.Site.Hosts {
		made, err := d.Site.configOf(h)
		if err != nil {
			return err
		}
		if made.encrypts() {
			made.roles[encrypted] = "1" // as facts.sh says
		}
		d.configs[h.Name] = made
	}
	return nil
}
