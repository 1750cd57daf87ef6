# prepare.sh: makes the user that roles run as, and the directories.
getent passwd killr >/dev/null ||
	useradd --system --user-group --home-dir /var/lib/killr --no-create-home --shell /usr/sbin/nologin killr
install -d -m 755 /opt/killr /opt/killr/releases /etc/killr
install -d -m 700 /opt/killr/configs /etc/killr/credentials
install -d -m 750 -o killr -g killr /var/lib/killr /var/lib/killr/pictures
