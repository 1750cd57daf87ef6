# stop.sh UNIT: stops an instance and waits until it has finished its requests.
systemctl disable --quiet --now "$1"
systemctl reset-failed "$1" 2>/dev/null || true
