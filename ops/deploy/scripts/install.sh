# install.sh PACKAGE...: installs packages of Debian. Debian starts a service that is installed; here units of our own do.
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=180 update || true # old lists may do
apt-get -q -y -o DPkg::Lock::Timeout=180 --no-install-recommends install "$@"
systemctl disable --now "$@"
