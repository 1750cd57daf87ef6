# machine.sh N SHARED: becomes PID 1 of machine N, which is systemd. Runs in the machine's namespaces, all its own. The
# root is an overlay: below, this computer's own root; above, the machine's disk. SHARED is a directory of this computer
# that all machines see, or nothing.
set -eu
n=$1
shared=$2
disk=/run/fleet/m$n
root=$disk/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
# Settings of the kernel are this computer's, but for those of the network, which are the machine's.
for settings in sys sysrq-trigger; do
	if [ -e "$root/proc/$settings" ]; then
		mount --bind "$root/proc/$settings" "$root/proc/$settings"
		mount -o remount,bind,ro "$root/proc/$settings"
	fi
done
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,rw "$root/proc/sys/net"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$disk/home" "$root/root" # what root has on this computer is no business of the machine's
if [ -n "$shared" ]; then
	mkdir -p "$root/srv/shared"
	mount --bind "$shared" "$root/srv/shared"
fi
mkdir "$root/run/host"
touch "$root/run/host/notify"
mount --bind "$disk.notify" "$root/run/host/notify"

# At the first boot: a Debian on which nothing is set up, so nothing of this computer's starts.
cd "$root/etc"
if [ ! -e killr-fleet ]; then
	rm -rf systemd/system/*.wants systemd/system/*.requires systemd/system/default.target rc?.d/S* cron.d/*
	mkdir -p systemd/system/multi-user.target.wants ssh
	ln -s /lib/systemd/system/multi-user.target systemd/system/default.target
	ln -s /lib/systemd/system/ssh.service systemd/system/multi-user.target.wants/ssh.service
	# What needs hardware, or a console, or takes long and does nothing here.
	for unit in getty.target systemd-logind.service systemd-udevd.service systemd-udev-trigger.service \
		systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-modules-load.service \
		systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-random-seed.service \
		systemd-tmpfiles-setup-dev.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
		dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
		sys-kernel-config.mount sys-fs-fuse-connections.mount systemd-remount-fs.service; do
		ln -sf /dev/null "systemd/system/$unit"
	done
	: >fstab
	cp "/run/fleet/hosts" hosts
	echo "m$n" >hostname
	tr -d - </proc/sys/kernel/random/uuid >machine-id
	cat >ssh/sshd_config <<END
HostKey /etc/ssh/fleet_host
AuthorizedKeysFile /etc/ssh/fleet_authorized
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
END
	cp /run/fleet/host ssh/fleet_host
	cp /run/fleet/id.pub ssh/fleet_authorized
	touch .updated "$root/var/.updated" killr-fleet
fi
hostname "m$n"

cd "$root"
pivot_root . mnt
# Mounts are shared: so credentials, which systemd mounts, reach their service. On a computer systemd shares them
# itself; in what it takes for a container it does not.
exec chroot . /bin/sh -euc 'umount -l /mnt
	mount --make-rshared /
	exec env -i container=killr-fleet NOTIFY_SOCKET=/run/host/notify PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --show-status=0 --log-target=console --log-level=warning'
