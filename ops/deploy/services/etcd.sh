# etcd.sh run: becomes etcd, as one of the voters that begin together, or as another one beside those that there are.
# etcd.sh vote: makes one that has joined a voter, when it knows what they know. It runs as root.
#
# A voter with data knows the others. One without asks them whether they serve. If they do, and it was one of them, its
# disk was lost: it joins as a new one. First it removes voters that are to be none any more, so that most of those
# that are left still run. One that joins has no vote until it runs: if it never did, its vote would be missing.
set -euo pipefail
data=/var/lib/killr-etcd
joins=$data/joins # the members that it begins among; it is there until this one is a voter
told=/run/killr-etcd.service.told # is there while a deployment starts it, and after a kill -9
case $1 in
run) keys=$CREDENTIALS_DIRECTORY/killr_ ;;
vote) keys=/etc/killr/credentials/etcd/ ;; # root's
esac
OTHERS=${OTHERS-} # one voter alone has none
export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=$OTHERS ETCDCTL_CACERT=${keys}ca ETCDCTL_CERT=${keys}cert ETCDCTL_KEY=${keys}key

# is_told reports whether a deployment starts this one. A start lasts 5 minutes at most.
is_told() { [ -n "$(find $told -mmin -6 2>/dev/null)" ]; }

ask() { etcdctl --dial-timeout=1s --command-timeout=4s "$@"; }

# insist asks until it is done. Voters change their number only when all of them have been connected for 5 s.
insist() {
	for _ in $(seq 15); do
		if ask "$@"; then return; fi
		sleep 1
	done
	return 1
}

# away reports whether a voter's machine cannot be reached, as while this one has no network yet after its boot. Where
# only etcd does not run, connections are refused.
away() {
	local url host port said
	for url in ${OTHERS//,/ }; do
		host=${url#https://} port=${url##*:}
		host=${host%:*} host=${host#\[} host=${host%\]}
		said=$(LC_ALL=C timeout 2 bash -c ': <"/dev/tcp/$0/$1"' "$host" "$port" 2>&1) ||
			[[ $said = *refused* ]] || return 0
	done
	return 1
}

# forgotten reports whether the others have removed this one, which has data. Only an answer counts that most voters
# have agreed to, as one alone may not know yet that this one joined.
forgotten() {
	local url list
	for url in ${OTHERS//,/ }; do
		if ETCDCTL_ENDPOINTS=$url ask get / >/dev/null 2>&1 && list=$(ETCDCTL_ENDPOINTS=$url ask member list); then
			[[ $list != *" $PEER,"* ]]
			return
		fi
	done
	return 1
}

# join lets the others know this one. It removes each other one that has joined and did not begin: there can be only
# one, it knows nothing yet, and it joins again when a deployment starts it.
join() {
	local id name peer client first=yes
	while IFS=, read -r id _ name peer client _; do
		peer=${peer# } name=${name# } client=${client# }
		if [ "$peer" = "$PEER" ] && [ -n "$client" ]; then
			first=no
		elif [ "$peer" = "$PEER" ] && [ -n "$name" ]; then
			rm -f "$joins.new"
			return # they begin together, and it has not begun yet
		elif [ "$peer" != "$PEER" ] && [ -n "$name" ] && [[ ",$VOTERS," = *"=$peer,"* ]]; then
			continue
		fi
		echo "removing the voter ${name:-that did not begin} at $peer"
		insist member remove "$id"
	done <<<"$1"
	if [ $first = no ]; then echo "its data is gone: it begins as another voter"; fi
	insist member add "$NAME" --peer-urls="$PEER" --learner |
		sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p' >"$joins.new"
	sync "$joins.new"
	mv -T "$joins.new" "$joins"
}

# vote asks for a vote until this one has it, which needs what the voters know.
vote() {
	local own said
	while [ $SECONDS -lt 90 ]; do # systemd waits for two minutes
		own=$(ask member list | grep -F " $PEER,") || true
		case $own in
		*", true") said=$(ask member promote "${own%%,*}" 2>&1) || true ;;
		*", false") return ;;
		esac
		sleep 0.5
	done
	echo "it is no voter yet: ${said-the voters do not answer}" >&2
	return 1
}

if [ "$1" = vote ]; then
	if [ -e $joins ]; then
		vote
		rm -f $joins
	fi
	exit 0
fi

state=new
if is_told && [ -e $data/data/member ] && forgotten; then
	echo "it was a voter once: it begins as another one"
	: >$joins.new # others serve, so it may not begin as a new one
	rm -rf $data/removed
	mv -T $data/data $data/removed # at once: a part of it might pass for all
	rm -rf $data/removed $joins
fi
# With a list of members of before it did not begin then, and there may be other members by now.
if [ ! -e $data/data/member ] && { [ ! -e $joins ] || is_told; } && [ -n "$OTHERS" ]; then
	# If it began as a new one while others serve, they would take it for the one that it was, and it would end.
	until there=$(ask member list 2>/dev/null); do
		if [ $SECONDS -ge 30 ] || { [ ! -e $joins.new ] && ! away; }; then break; fi
		sleep 1
	done
	if [ -n "$there" ]; then
		: >$joins.new
		rm -f $joins
		join "$there"
	elif [ -e $joins.new ]; then
		echo "others have served, and do not answer" >&2
		exit 1
	fi
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
