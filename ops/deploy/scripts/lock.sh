# lock.sh OWNER: holds the lock of deployments for as long as it is sent a line every few seconds. It prints "locked",
# or says who holds the lock.
mkdir -p -m 700 /run/killr-deploy # root's: others could hold a lock in /run/lock
file=/run/killr-deploy/lock
exec 9>>"$file"
if ! flock --nonblock 9; then
	echo "deployed by $(cat "$file.owner" 2>/dev/null)" >&2
	exit 75
fi
echo "$1 since $(date -u '+%F %T') UTC" >"$file.owner"
echo locked
while read -r -t 20 _; do :; done
rm -f "$file.owner"
