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

case $1 in
run)
	for key in ca cert key; do # patronictl of root reads them, too
		install -m 600 "$CREDENTIALS_DIRECTORY/killr_$key" /run/killr-postgres/$key
	done
	exec patroni "$CREDENTIALS_DIRECTORY/killr_patroni"
	;;
ready)
	for _ in $(seq 200); do
		if pg_isready --quiet --host "$ADDRESS" && has_primary; then
			# What all members share is kept in etcd, where an older configuration may have put it.
			timeout 20 patronictl -c $secrets/patroni edit-config --quiet --force --replace $secrets/shared killr || true
			exit 0
		fi
		sleep 0.5
	done
	if has_primary; then
		echo "this replica is not ready yet: it copies the database for as long as that takes"
		exit 0
	fi
	echo "PostgreSQL has no primary" >&2
	exit 1
	;;
make)
	psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$2" <<-'END'
		\set password `cat "$CREDENTIALS_DIRECTORY/killr_site-password"`
		CREATE ROLE killr LOGIN PASSWORD :'password';
		CREATE DATABASE killr OWNER killr;
	END
	;;
esac
