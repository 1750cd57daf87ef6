# close.sh SOCKET...: undoes open.sh. Instances that have the socket go on until they stop.
systemctl disable --quiet --now "$@"
