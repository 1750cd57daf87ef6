# postgres.sh run: becomes Patroni, which starts PostgreSQL here, as the primary or as a replica.
# postgres.sh ready: waits until PostgreSQL answers here, and has a primary somewhere. It runs as root.
# postgres.sh make ADDRESS: makes the site's user and database. Patroni calls it on the first primary.
set -euo pipefail
cd /
data=/var/lib/killr-postgres/data
secrets=/etc/killr/credentials/postgres # root's
if [ -e $data/PG_VERSION ]; then # another version may be installed by now, which cannot read this data
	version=$(cat $data/PG_VERSION)
else
	version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
fi
export PATH=/usr/lib/postgresql/$version/bin:$PATH

# has_primary reports whether the site's user can write to the site's database.
has_primary() {
	PGPASSWORD=$(cat $secrets/site-password) PGUSER=killr PGDATABASE=killr PGHOST=$MEMBERS \
		PGTARGETSESSIONATTRS=read-write PGSSLMODE=disable PGCONNECT_TIMEOUT=2 \
		psql --no-psqlrc --quiet --command 'SELECT 1' >/dev/null 2>&1
}

# recovers reports whether a PostgreSQL runs here, which may not answer for long after a crash. The number in its file
# is negative while Patroni recovers it in a process alone.
recovers() {
	local pid
	pid=$(head -n 1 $data/postmaster.pid 2>/dev/null) && [ "$(cat "/proc/${pid#-}/comm" 2>/dev/null)" = postgres ]
}

case $1 in
run)
	for key in ca cert key; do # patronictl of root reads them, too
		install -m 600 "$CREDENTIALS_DIRECTORY/killr_$key" /run/killr-postgres/$key
	done
	exec /usr/bin/python3 /etc/killr/postgres.py "$CREDENTIALS_DIRECTORY/killr_patroni"
	;;
ready)
	while [ $SECONDS -lt 100 ]; do
		# By the name of a user that is there: PostgreSQL would log that it refuses root.
		if pg_isready --quiet --host "$ADDRESS" --username killr --dbname killr && has_primary; then
			# What all members share is kept in etcd, where an older configuration may have put it.
			timeout 20 patronictl -c $secrets/patroni edit-config --quiet --force --replace $secrets/shared \
				killr || true
			exit 0
		fi
		sleep 0.5
	done
	if recovers || has_primary; then # if this failed, systemd would end it, and it would have to begin anew
		echo "PostgreSQL is not ready yet: it recovers, waits for others, or copies the database"
		exit 0
	fi
	echo "PostgreSQL does not run here, and has no primary" >&2
	exit 1
	;;
make)
	psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$2" <<-'END'
		SET log_min_duration_statement = -1; -- the log is to have no password, however slow or wrong this is
		SET log_min_error_statement = panic;
		\set password `cat "$CREDENTIALS_DIRECTORY/killr_site-password"`
		CREATE ROLE killr LOGIN PASSWORD :'password';
		CREATE DATABASE killr OWNER killr;
	END
	;;
esac
