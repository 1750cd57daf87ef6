# binary.sh SHA: prints the binary of a release.
exec cat "/opt/killr/releases/$1/killr"
