# etcd.sh: becomes etcd, as one of the voters that begin together, or as another voter of those that there are.
#
# A voter with data knows the others. One without asks them whether they serve. If they do, and it was one of them, its
# disk was lost; then it comes as another one. Those that are not to be voters any more it removes first, so that most of
# the rest remain enough.
set -euo pipefail
data=/var/lib/killr-etcd
joins=$data/joins # the voters that it begins among, once they know it
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$OTHERS ETCDCTL_CACERT=$CREDENTIALS_DIRECTORY/killr_ca
export ETCDCTL_CERT=$CREDENTIALS_DIRECTORY/killr_cert ETCDCTL_KEY=$CREDENTIALS_DIRECTORY/killr_key
ask() { etcdctl --dial-timeout=1s --command-timeout=4s "$@"; }

# join makes this one a voter.
join() {
	local id name peer client first=yes
	while IFS=, read -r id _ name peer client _; do
		peer=${peer# } name=${name# } client=${client# }
		if [ "$peer" = "$PEER" ] && [ -n "$client" ]; then
			first=no
		elif [ "$peer" = "$PEER" ] && [ -n "$name" ]; then
			return # they begin together, and it has not begun yet
		elif [ "$peer" != "$PEER" ] && [[ ",$VOTERS," = *"=$peer,"* ]]; then
			continue
		fi
		echo "removing the voter ${name:-that did not begin} at $peer"
		ask member remove "$id"
	done <<<"$1"
	if [ $first = no ]; then echo "its data is gone: it begins as another voter"; fi
	ask member add "$NAME" --peer-urls="$PEER" | sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p' >"$joins.new"
	mv -T "$joins.new" "$joins"
}

state=new
if [ ! -e $data/data/member ] && [ ! -e $joins ] && [ -n "$OTHERS" ] && there=$(ask member list 2>/dev/null); then
	join "$there"
fi
if [ -e $joins ]; then
	state=existing
	VOTERS=$(cat $joins)
fi
# Its heartbeat and its elections are etcd's own: with slower ones Patroni learns later that a machine is lost.
exec etcd --name "$NAME" --data-dir $data/data --initial-cluster "$VOTERS" --initial-cluster-state $state \
	--initial-cluster-token killr --initial-advertise-peer-urls "$PEER" --listen-peer-urls "$LISTEN_PEER" \
	--advertise-client-urls "$CLIENT" --listen-client-urls "$LISTEN_CLIENT" \
	--client-cert-auth --trusted-ca-file "$ETCDCTL_CACERT" --cert-file "$ETCDCTL_CERT" --key-file "$ETCDCTL_KEY" \
	--peer-client-cert-auth --peer-trusted-ca-file "$ETCDCTL_CACERT" --peer-cert-file "$ETCDCTL_CERT" \
	--peer-key-file "$ETCDCTL_KEY" --auto-compaction-mode periodic --auto-compaction-retention 1h \
	--snapshot-count 10000 --log-level warn --logger zap
