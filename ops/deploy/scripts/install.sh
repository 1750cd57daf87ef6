# install.sh PACKAGE...: installs packages of Debian. Debian starts the service of a package, and makes a database for
# PostgreSQL. It must not here: units of our own do. A service that was there before is somebody else's, and goes on.
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/killr.conf
apt-get -q -o DPkg::Lock::Timeout=180 update || true # old lists may do
own=()
for package in "$@"; do
	case $package in
	etcd-server) unit=etcd ;;
	etcd-client | python3-*) continue ;;
	*) unit=$package ;;
	esac
	if ! systemctl cat "$unit.service" >/dev/null 2>&1; then own+=("$unit"); fi
done
failed=0
apt-get -q -y -o DPkg::Lock::Timeout=180 --no-install-recommends install "$@" || failed=$?
for unit in "${own[@]}"; do # those of half an installation, too: the next one finds them there
	systemctl disable --now "$unit" || [ $failed != 0 ]
done
exit $failed
