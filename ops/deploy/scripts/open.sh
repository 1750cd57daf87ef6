# open.sh SOCKET...: listens, now and after each boot.
systemctl enable --quiet --now "$@"
