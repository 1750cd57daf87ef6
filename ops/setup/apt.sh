# Installs the packages named as arguments on Debian or Ubuntu. Runs as root. Of "this|that" it installs the first that
# there is, or tries the last.
#
# Debian starts a service as soon as it is installed. We run our own, privately, so while we install, policy-rc.d says no;
# it is removed again, whatever happens. Services that systemd would start at the next boot are switched off, too.
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
# Another apt, such as the nightly upgrade, is waited for, but not for ever.
options="-o DPkg::Lock::Timeout=180 -o Acquire::Retries=3 -o Acquire::http::Timeout=30"

if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

# Old lists may still do, so a failed update is not the end.
apt-get $options -q update || echo "setup: apt-get update failed; going on with the package lists that are there" >&2
packages=
for alternatives in "$@"; do
	for package in $(echo "$alternatives" | tr '|' ' '); do
		if apt-cache show "$package" >/dev/null 2>&1; then break; fi
	done
	packages="$packages $package"
done
apt-get $options -q -y --no-install-recommends install $packages

# Where systemd does not run, as in a chroot, what it would start at the next boot is switched off all the same.
now=
if [ -d /run/systemd/system ]; then now=--now; fi
if command -v systemctl >/dev/null; then
	for package in "$@"; do
		case $package in
		memcached | postgresql | patroni) services=$package ;;
		etcd-server) services=etcd ;;
		prometheus) services="prometheus.service" ;; # of it tests use promtool
		openssh-server) services="ssh.socket ssh.service" ;; # the socket starts Ubuntu's sshd
		*) continue ;;
		esac
		for service in $services; do systemctl disable $now "$service" || true; done
	done
fi
