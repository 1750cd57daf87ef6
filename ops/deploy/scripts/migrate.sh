# migrate.sh RELEASE CONFIG MARK: brings the database to the schema of a release, and notes that as MARK.
cd /
# As a renderer gets it from systemd: a secret is in no command line.
export CREDENTIALS_DIRECTORY=/run/killr-migrate
rm -rf $CREDENTIALS_DIRECTORY
mkdir -m 700 $CREDENTIALS_DIRECTORY
trap 'rm -rf $CREDENTIALS_DIRECTORY' EXIT
cp "/opt/killr/configs/$2/etc/killr/credentials/renderer/postgres" $CREDENTIALS_DIRECTORY/killr_postgres
"/opt/killr/releases/$1/killr" migrate
echo "$3" >/opt/killr/migrated.new
mv -T /opt/killr/migrated.new /opt/killr/migrated
