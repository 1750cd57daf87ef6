# handover.sh MEMBER: if PostgreSQL's primary is this member, makes a replica the primary that has all it has. It waits
# up to a minute for such a replica. Until the minute is over it also waits until commits wait for a replica again: the
# next step stops this member, and the primary would be alone if another one were not in step yet.
config=/etc/killr/credentials/postgres/patroni
try=0
other=no # yes: another one is the primary
while [ $try -lt 60 ]; do
	try=$((try + 1))
	# While etcd has no leader it does not answer.
	members=$(timeout 20 patronictl -c $config list -f tsv | tail -n +2 | cut -f 2,4,5 | tr ' ' _) || true
	if [ "$(awk '$2 == "Leader" { print $1 }' <<<"$members")" != "$1" ]; then
		# Another one is, or nobody is for a moment.
		if awk '$2 == "Leader"' <<<"$members" | grep -q .; then
			other=yes
			if [ $SECONDS -ge 60 ] || awk '$2 == "Sync_Standby"' <<<"$members" | grep -q .; then exit 0; fi
		fi
	else
		other=no
		to=$(awk '$2 == "Sync_Standby" && $3 ~ /^(running|streaming)$/ { print $1; exit }' <<<"$members")
		if [ -n "$to" ]; then
			timeout 60 patronictl -c $config switchover killr --leader "$1" --candidate "$to" --force >&2 || true
		fi
	fi
	sleep 0.5
done
if [ $other = yes ]; then exit 0; fi
echo "no replica of PostgreSQL has all that $1 has, so it stays the primary: see 'killr status'" >&2
exit 1
