# start.sh UNIT: starts an instance, waits until it says that it is ready, and prints its process id.
told=/run/$1.told # by which a service tells this start from one that systemd makes by itself
: >"$told"
trap 'rm -f "$told"' EXIT
systemctl reset-failed "$1" 2>/dev/null || true
systemctl enable --quiet "$1"
if ! systemctl restart "$1"; then
	echo "it did not become ready; the end of its log:" >&2
	journalctl --unit "$1" --lines 12 --no-pager --output cat >&2 || true
	exit 1
fi
systemctl show --property MainPID --value "$1"
