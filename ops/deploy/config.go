package deploy

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flickrkillr/ops/deploy/units"
	"flickrkillr/schema/wire"
)

// edgeDrain is how long an edge that stops goes on answering, unless site.toml says otherwise. The socket stays, so no
// load balancer has to notice: only connections that are kept open have to end.
const edgeDrain = "2s"

const (
	envDir         = "etc/killr"
	credentialsDir = envDir + "/credentials"
	unitsDir       = "etc/systemd/system"

	// configVariable is the hash of an instance's configuration, in its environment.
	configVariable = "KILLR_CONFIG"
)

// file is one file of a host's configuration.
type file struct {
	mode    fs.FileMode
	content []byte
}

// config is what a host is configured with.
type config struct {
	hash  string               // of all files
	roles map[wire.Role]string // of what the instances of a role read
	files map[string]file      // by their paths below /
}

// configOf makes the configuration of a host.
func (s *Site) configOf(h Host) (config, error) {
	c := config{roles: map[wire.Role]string{}, files: map[string]file{}}
	for _, u := range units.All() {
		c.files[unitsDir+"/"+u.Name] = file{0o644, u.Text}
	}
	common := map[string]string{
		"NATS_URL":          strings.Join(nearestFirst(s.Services.NATS, h.Address), ","),
		"MEMCACHED_SERVERS": strings.Join(s.Services.Memcached, ","),
	}
	maps.Copy(common, s.flags[""])
	site := variables(common)
	c.files[envDir+"/site.env"] = file{0o600, site}                             // an address may have a password
	for _, role := range append([]wire.Role{wire.RoleOperator}, rollOrder...) { // the operator asks roles for figures
		if role != wire.RoleOperator && !h.Runs(role) {
			continue
		}
		if err := c.addCredentials(s, h, role); err != nil {
			return c, err
		}
	}
	if err := c.addServices(s, h); err != nil {
		return c, err
	}
	for _, role := range h.Roles {
		if !slices.Contains(rollOrder, role) {
			continue
		}
		own := map[string]string{}
		switch {
		case role == wire.RoleRenderer && s.Services.Pictures != "":
			own["KILLR_PICTURES"] = s.Services.Pictures
			if filepath.IsAbs(s.Services.Pictures) { // of others the unit can write to /var/lib/killr alone
				c.files[unitsDir+"/killr-renderer@.service.d/pictures.conf"] = file{0o644,
					fmt.Appendf(nil, "[Service]\nReadWritePaths=%q\n", s.Services.Pictures)}
			}
		case role == wire.RoleEdge:
			own["KILLR_EDGE_DRAIN"] = edgeDrain
		}
		if role == wire.RoleRenderer && len(s.with(roleNATS)) >= mostReplicas {
			own["KILLR_REPLICAS"] = strconv.Itoa(mostReplicas)
		}
		maps.Copy(own, s.flags[role])
		if role == wire.RoleEdge && own["KILLR_ACME"] != "" {
			c.files[envDir+"/https"] = file{0o644, nil}
		}
		reads := []file{{content: site}, {content: variables(own)}}
		for _, name := range slices.Sorted(maps.Keys(c.files)) {
			if strings.HasPrefix(name, unitsDir+"/killr-"+string(role)+"@") ||
				strings.HasPrefix(name, credentialsDir+"/"+string(role)+"/") {
				reads = append(reads, file{content: []byte(name)}, c.files[name])
			}
		}
		c.roles[role] = hashOf(reads)
		own[configVariable] = c.roles[role]
		c.files[envDir+"/"+string(role)+".env"] = file{0o600, variables(own)}
	}
	var all []file
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[name]
		all = append(all, file{content: []byte(name)}, file{content: fmt.Appendf(nil, "%o", f.mode)}, f)
	}
	c.hash = hashOf(all)
	return c, nil
}

// addCredentials adds what a role reads from files that root alone may read: the file of a flag has its name.
func (c *config) addCredentials(s *Site, h Host, role wire.Role) error {
	secret := map[string][]byte{}
	if role == wire.RoleRenderer {
		secret["postgres"] = []byte(s.Services.Postgres + "\n")
		if replicas := s.replicaURLs(h); replicas != "" {
			secret["postgres-read"] = []byte(replicas + "\n")
		}
	}
	files := maps.Clone(s.paths[role])
	if files == nil {
		files = map[string]string{}
	}
	if s.Services.NATSCA != "" {
		files["nats-ca"] = s.Services.NATSCA
	}
	if s.Services.NATSSeeds != "" {
		files["nats-seed"] = filepath.Join(s.Services.NATSSeeds, string(role)+".nk")
	}
	for flag, path := range files {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && flag == "nats-seed" {
			return fmt.Errorf("read the seed of the role %s: %w: `killr bus config` makes them", role, err)
		}
		if err != nil {
			return fmt.Errorf("read the file of %s for %s: %w", flag, role, err)
		}
		secret[flag] = content
	}
	for flag, content := range secret {
		c.files[credentialsDir+"/"+string(role)+"/"+flag] = file{0o600, content}
	}
	if len(secret) == 0 { // the unit wants the directory
		c.files[credentialsDir+"/"+string(role)+"/.keep"] = file{0o600, nil}
	}
	return nil
}

// encrypts reports whether a host's edges have a socket for HTTPS.
func (c *config) encrypts() bool {
	_, certificate := c.files[credentialsDir+"/"+string(wire.RoleEdge)+"/tls-cert"]
	_, authority := c.files[envDir+"/https"]
	return certificate || authority
}

// nearestFirst puts the address that is a host's own before the others.
func nearestFirst(addresses []string, own string) []string {
	isOwn := func(address string) bool {
		u, err := url.Parse(address)
		return err == nil && u.Hostname() == own
	}
	i := slices.IndexFunc(addresses, isOwn)
	if i < 0 {
		return addresses
	}
	return slices.Concat(addresses[i:i+1], addresses[:i], addresses[i+1:])
}

// variables is a file of variables, as systemd and a shell both read it.
func variables(all map[string]string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			fmt.Fprintf(&b, "%s=\"%s\"\n", name, escape.Replace(all[name]))
		}
	}
	return b.Bytes()
}

// hashLength is how many digits of a hash name a release or a configuration.
const hashLength = 16

func hashOf(files []file) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%d:", len(f.content))
		sum.Write(f.content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:hashLength]
}

// archive is the configuration as a tar file, with the paths below a directory of that name.
func (c *config) archive(below string) ([]byte, error) {
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		f := c.files[name]
		header := tar.Header{Name: below + "/" + name, Mode: int64(f.mode), Size: int64(len(f.content))}
		if err := out.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := out.Write(f.content); err != nil {
			return nil, err
		}
	}
	err := out.Close()
	return b.Bytes(), err
}
