// Package fleet runs several machines on this one kernel, for tests of what many machines do: each has systemd as PID
// 1 and sshd, in namespaces of its own, and a cable to a private bridge. They are cut off, slowed down, killed and
// booted.
//
// **Input**: root on Linux with systemd, sshd, ssh and iproute2, which `killr setup` installs, and a kernel with
// overlay, bridge and veth; slow cables need /dev/net/tun, which containers often lack. Each machine sees this
// computer's root file system, so /usr and /var have to be on it, and writes to a disk of its own in memory. They may
// share one directory of this computer, and reach services of this computer that are exposed to them.
// **Output**: machines m1, m2... at 10.77.0.1, 10.77.0.2..., reached by ssh; a Command runs at 10.77.0.254. **Must not
// touch**: this computer's network, services, files and settings of the kernel. Only tests and instruments may import
// it.
//
// All of a fleet is below one process, the keeper (keeper.sh), and in its namespaces. Killed, it takes all machines and
// networks with it; when the program that started it ends, however, it ends too and removes the cgroups. Those of a
// keeper that was killed are removed by the next fleet.
package fleet
