//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"flickrkillr/ops/testenv"
)

// containerPort is where the edge in a container listens.
const containerPort = 8081

// container runs an edge from the image, by crun, as an engine would: as the image's user, with a read-only root.
func (s *server) container(t *testing.T, p program) {
	file := filepath.Join(t.TempDir(), "killr.tar")
	if err := writeImage(p, file); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(err, layers)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(config.Config.User)
	if err != nil || uid == 0 {
		t.Fatalf("the user of the image is %q, %v", config.Config.User, err)
	}
	s.send(file, "/srv/killr.tar")
	s.run(`mkdir -p /srv/bundle/rootfs; cd /srv/bundle
		tar -xOf /srv/killr.tar %s.tar.gz | tar -xz --same-owner -C rootfs
		install -o %d -m 400 /srv/services/nkeys/edge.nk nats-seed`, layer.Hex, uid)
	env := append(config.Config.Env, strings.Fields(s.run("cat /etc/killr/site.env"))...)
	for i, v := range env { // a shell's quotes
		env[i] = strings.ReplaceAll(v, "'", "")
	}
	type object map[string]any
	bundle, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"process": object{
			"args": append(config.Config.Entrypoint, "edge", "--addr", fmt.Sprintf("0.0.0.0:%d", containerPort),
				"--nats-seed", "/run/nats-seed"),
			"env": env, "cwd": config.Config.WorkingDir, "user": object{"uid": uid, "gid": uid},
			"noNewPrivileges": true,
		},
		"root": object{"path": "rootfs", "readonly": true},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
			{"destination": "/run", "type": "tmpfs", "source": "tmpfs"},
			{"destination": "/run/nats-seed", "type": "bind", "source": "/srv/bundle/nats-seed",
				"options": []string{"bind"}},
		},
		"linux": object{"namespaces": []object{{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.write("/srv/bundle/config.json", bundle)
	s.run("systemd-run -q --unit=services-container crun --cgroup-manager=disabled run --bundle /srv/bundle killr")
	client := s.client(false)
	testenv.Within(t, time.Minute, "the edge in the container serves", func() bool {
		s.run("systemctl is-active services-container")
		return s.visit(client, containerPort, page) == nil
	})
	if running := s.run("ps -u %d -o args=", uid); !strings.HasPrefix(running, "/killr edge") {
		t.Errorf("its user runs %q", running)
	}
	s.run("systemctl stop services-container")
	if err := s.visit(&http.Client{Transport: client.Transport}, containerPort, page); err == nil {
		t.Error("the edge has not ended")
	}
}
