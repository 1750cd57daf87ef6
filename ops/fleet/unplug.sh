# unplug.sh N GROUP: removes what plug.sh made, except the disk, and the cgroups of a machine that has ended.
set -eu
n=$1
for device in "p$n" "c$n"; do
	if ip link show "$device" >/dev/null 2>&1; then ip link delete "$device"; fi
done
if [ -e "/run/netns/m$n" ]; then ip netns delete "m$n"; fi
# The last processes of a machine that was killed may end after its first one.
try=0
while [ -e "/run/cgroup/$2/m$n" ] && ! find "/run/cgroup/$2/m$n" -depth -type d -exec rmdir {} + 2>/dev/null; do
	try=$((try + 1))
	if [ $try -ge 1200 ]; then
		echo "a process of m$n has not ended in a minute" >&2
		exit 1
	fi
	sleep 0.05
done
