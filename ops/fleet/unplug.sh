# unplug.sh N GROUP: removes what plug.sh made, except the disk, and the cgroups of a machine that has ended.
set -eu
n=$1
for device in "p$n" "c$n"; do
	if ip link show "$device" >/dev/null 2>&1; then ip link delete "$device"; fi
done
if [ -e "/run/netns/m$n" ]; then ip netns delete "m$n"; fi
if [ -e "/run/cgroup/$2/m$n" ]; then find "/run/cgroup/$2/m$n" -depth -type d -exec rmdir {} +; fi
