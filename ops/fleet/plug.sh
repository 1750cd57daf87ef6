# plug.sh N: gives machine N a network namespace, and a cable from its eth0 to the bridge. Runs in the keeper's
# namespaces.
set -eu
n=$1
ip netns add "m$n"
ip link add "p$n" type veth peer name eth0 netns "m$n"
ip -n "m$n" link set lo up
# The same address after each boot: neighbours remember it.
ip -n "m$n" link set eth0 address "02:00:0a:4d:00:$(printf %02x "$n")"
ip -n "m$n" address add "10.77.0.$n/24" dev eth0
ip -n "m$n" link set eth0 up
ip link set "p$n" master br0 up
# The machine's disk. It outlives the machine's process, so what was written is there at the next boot.
mkdir -p "/run/fleet/m$n"
if ! mountpoint -q "/run/fleet/m$n"; then
	mount -t tmpfs -o mode=755,size=2g "m$n" "/run/fleet/m$n"
	mkdir "/run/fleet/m$n/upper" "/run/fleet/m$n/work" "/run/fleet/m$n/root"
	mkdir -m 700 "/run/fleet/m$n/home"
fi
