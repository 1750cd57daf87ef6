# facts.sh: prints what this host has, a fact a line. It changes nothing.
cd /
echo "machine $(uname -m)"
echo "hostname $(uname -n)"
if [ -d /opt/killr/releases ] && [ -d /opt/killr/configs ] && [ -d /var/lib/killr ] &&
	getent passwd killr >/dev/null; then
	echo prepared
fi
for dir in /opt/killr/releases/*/; do
	if [ -x "$dir/killr" ]; then echo "release $(basename "$dir")"; fi
done
for dir in /opt/killr/configs/*/; do
	case $dir in *'*'* | *.making*) continue ;; esac
	roles=
	for role in renderer cachefill edge nats memcached etcd postgres; do
		hash=$(sed -n 's/^KILLR_CONFIG="\(.*\)"$/\1/p' "$dir/etc/killr/$role.env" 2>/dev/null || true)
		if [ -n "$hash" ]; then roles="$roles $role=$hash"; fi
	done
	if [ -e "$dir/etc/killr/https" ] || [ -e "$dir/etc/killr/credentials/edge/tls-cert" ]; then
		roles="$roles https=1"
	fi
	echo "config $(basename "$dir")$roles"
done
if [ -L /opt/killr/current ]; then echo "current $(basename "$(readlink /opt/killr/current)")"; fi
if [ -e /opt/killr/history ]; then
	sed 's/^/history /' /opt/killr/history
	config=$(tail -n 1 /opt/killr/history | cut -d ' ' -f 2)
	if cd "/opt/killr/configs/$config" 2>/dev/null; then
		find . -type f | while read -r path; do
			cmp -s "$path" "/$path" || echo "drift ${path#.}"
		done
		cd /
	fi
fi
if [ -e /opt/killr/drained ]; then echo drained; fi
if [ -e /opt/killr/migrated ]; then echo "migrated $(cat /opt/killr/migrated)"; fi
for socket in /etc/systemd/system/killr-*.socket; do
	if [ -e "$socket" ]; then
		unit=$(basename "$socket")
		echo "socket $unit $(systemctl is-active "$unit" || true)"
	fi
done
lock=/run/killr-deploy/lock
if [ -e $lock ] && ! flock --nonblock $lock true; then echo "locked $(cat $lock.owner 2>/dev/null)"; fi
if [ -x /usr/bin/memcached ]; then echo program memcached; fi
if [ -x /usr/bin/etcd ] && [ -x /usr/bin/etcdctl ]; then echo program etcd; fi
if [ -x /usr/bin/patroni ] && [ -d /usr/lib/python3/dist-packages/idna ] &&
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
	echo program postgres
fi
if systemctl is-active --quiet killr-etcd; then
	keys=/etc/killr/credentials/etcd
	client=$(sed -n 's/^CLIENT="\(.*\)"$/\1/p' /etc/killr/etcd.env)
	{ ETCDCTL_API=3 timeout 5 etcdctl --endpoints "$client" --cacert $keys/ca --cert $keys/cert --key $keys/key \
		member list 2>/dev/null || true; } | while IFS=', ' read -r _ state name _ _ learns; do
		if [ "$state" = started ] && [ "$learns" != true ]; then echo "voter $name"; fi
	done
fi
if systemctl is-active --quiet killr-postgres; then
	{ timeout 10 patronictl -c /etc/killr/credentials/postgres/patroni list -f tsv 2>/dev/null || true; } |
		tail -n +2 | tr ' ' _ | while IFS=$'\t' read -r _ name _ role state _ behind _; do
		echo "member $name ${role:--} ${state:--} ${behind:--}"
	done
fi
systemctl list-units --all --plain --no-legend 'killr-*.service' | while read -r unit _; do
	ActiveState='' UnitFileState='' MainPID=0
	eval "$(systemctl show -p ActiveState -p UnitFileState -p MainPID "$unit")"
	release=- config=-
	if [ "$MainPID" != 0 ]; then
		exe=$(readlink "/proc/$MainPID/exe" || true)
		case $exe in /opt/killr/releases/*/killr) release=$(basename "$(dirname "$exe")") ;; esac
		# It may have ended.
		config=$(tr '\0' '\n' 2>/dev/null <"/proc/$MainPID/environ" | sed -n 's/^KILLR_CONFIG=//p' || true)
	fi
	echo "unit $unit ${ActiveState:--} ${UnitFileState:--} $MainPID $release ${config:--}"
done
echo end
