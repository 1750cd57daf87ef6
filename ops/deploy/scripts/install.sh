# install.sh PACKAGE...: installs packages of Debian. Debian starts the service of a package. It must not here: units of
# our own do.
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=180 update || true # old lists may do
apt-get -q -y -o DPkg::Lock::Timeout=180 --no-install-recommends install "$@"
systemctl disable --now "$@"
