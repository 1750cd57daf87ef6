# keeper.sh GROUP: the first process of a fleet. It has a mount, network, IPC and PID namespace of its own, so what is
# made in there ends with it. It says "ready PID" and waits for the end of its input, which comes with the end of the
# program that started it, however that ends. Then, or when something fails, it kills every process of the fleet and
# removes the cgroups, the one thing that the kernel does not remove by itself.
set -eu
group=$1
read -r pid _ </proc/self/stat # as those outside see it: /proc is still theirs
came=$(sed -n 's/^0:://p' /proc/self/cgroup) # the cgroup in which it begins, so one that takes processes
mount -t proc proc /proc
mount -t tmpfs -o mode=755 fleet /run
mkdir -p /run/fleet /run/cgroup
mount -t cgroup2 cgroup2 /run/cgroup

# remove DIR: removes a tree of cgroups. It fails while one has a process, and when another keeper has removed it.
remove() { find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; }

# end is what is done last, whether this script has failed or not.
end() {
	status=$?
	set +e
	kill -9 -1 2>/dev/null # all but this one
	echo 0 >"/run/cgroup$came/cgroup.procs" || echo 0 >/run/cgroup/cgroup.procs
	try=0
	while [ -e "/run/cgroup/$group" ] && ! remove "/run/cgroup/$group"; do
		try=$((try + 1))
		if [ $try -ge 1200 ]; then
			echo "a process in the cgroup $group has not ended in a minute" >&2
			exit 1
		fi
		sleep 0.05
	done
	exit $status
}
trap end EXIT

# Fleets whose keeper was killed have left theirs. A new one may look like that for a moment, so it tries again.
for old in /run/cgroup/killr-fleet-*; do
	if grep -q 'populated 0' "$old/cgroup.events" 2>/dev/null; then remove "$old" || true; fi
done
try=0
until mkdir -p "/run/cgroup/$group/keeper" && echo 0 >"/run/cgroup/$group/keeper/cgroup.procs"; do
	try=$((try + 1))
	[ $try -lt 20 ]
done

ip link set lo up
# Without an address of its own it would take that of one of its ports, and another one when that port goes.
ip link add br0 address 02:00:0a:4d:00:fe type bridge
ip address add 10.77.0.254/24 dev br0
ip link set br0 up

cd /run/fleet
ssh-keygen -q -t ed25519 -N '' -C fleet -f id
ssh-keygen -q -t ed25519 -N '' -C fleet -f host
echo "m*,10.77.0.* $(cat host.pub)" >known_hosts
echo '127.0.0.1 localhost' >hosts
i=1
while [ $i -lt 100 ]; do
	echo "10.77.0.$i m$i" >>hosts
	i=$((i + 1))
done
cat >ssh_config <<END
User root
IdentityFile /run/fleet/id
IdentitiesOnly yes
UserKnownHostsFile /run/fleet/known_hosts
StrictHostKeyChecking yes
BatchMode yes
ConnectTimeout 30
ServerAliveInterval 1
ServerAliveCountMax 30
END
mount --bind hosts /etc/hosts
mount --bind ssh_config /etc/ssh/ssh_config

echo "ready $pid"
read -r _ || true
