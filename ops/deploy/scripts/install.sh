# install.sh PACKAGE...: installs packages of Debian. Debian starts the service of a package, and makes a database for
# PostgreSQL. It must not here: units of our own do.
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/killr.conf
apt-get -q -o DPkg::Lock::Timeout=180 update || true # old lists may do
apt-get -q -y -o DPkg::Lock::Timeout=180 --no-install-recommends install "$@"
for package in "$@"; do
	case $package in
	etcd-server) unit=etcd ;;
	etcd-client | python3-*) continue ;;
	*) unit=$package ;;
	esac
	systemctl disable --now "$unit"
done
