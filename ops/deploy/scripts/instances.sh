# instances.sh RELEASE CONFIG: asks all roles on the bus for their figures, as the operator, and prints them.
config=/opt/killr/configs/$2/etc/killr
set -a
. "$config/site.env"
set +a
if [ -e "$config/credentials/operator/nats-seed" ]; then
	export KILLR_NATS_SEED=$config/credentials/operator/nats-seed
fi
if [ -e "$config/credentials/operator/nats-ca" ]; then
	export KILLR_NATS_CA=$config/credentials/operator/nats-ca
fi
cd /
exec "/opt/killr/releases/$1/killr" --log-level error bus instances
