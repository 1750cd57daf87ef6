package setup

import (
	"os"
	"os/exec"
	"runtime"
)

// fleetNeeds is what machines of a fleet (ops/fleet) need, which only Linux has, and what runs images there.
func fleetNeeds() []need {
	if runtime.GOOS != "linux" {
		return nil
	}
	return []need{
		{name: "systemd", find: program("/lib/systemd/systemd"), apt: "systemd"},
		{name: "OpenSSH server", find: program("/usr/sbin/sshd"), apt: "openssh-server"},
		{name: "OpenSSH client", find: program("ssh"), apt: "openssh-client"},
		{name: "iproute2", find: program("ip"), apt: "iproute2"},
		{name: "crun", find: program("crun"), apt: "crun"},
		{name: "etcd", find: program("/usr/bin/etcd"), apt: "etcd-server"},
		{name: "etcdctl", find: program("/usr/bin/etcdctl"), apt: "etcd-client"},
		{name: "Patroni", find: program("/usr/bin/patroni"), apt: "patroni"},
		{name: "python3-idna", find: file("/usr/lib/python3/dist-packages/idna/__init__.py"), apt: "python3-idna"},
	}
}

func program(name string) func() (string, error) {
	return func() (string, error) { return exec.LookPath(name) }
}

func file(name string) func() (string, error) {
	return func() (string, error) {
		_, err := os.Stat(name)
		return name, err
	}
}
