# stop.sh UNIT: stops an instance and waits until it has finished its requests.
systemctl disable --quiet --now "$1"
systemctl reset-failed "$1" 2>/dev/null || true
# switch.sh leaves what etcd needs, as it may have to go on.
config=/opt/killr/configs/$(tail -n 1 /opt/killr/history | cut -d ' ' -f 2) || true
if [ "$1" = killr-etcd.service ] && [ -d "$config/etc" ] && [ ! -e "$config/etc/killr/etcd.env" ]; then
	rm -rf /etc/killr/etcd.env /etc/killr/etcd.sh /etc/killr/credentials/etcd /etc/systemd/system/killr-etcd.service
	systemctl daemon-reload
fi
