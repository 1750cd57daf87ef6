# config.sh HASH: keeps the tar file that it reads, whose paths begin with "files/", as the configuration of that hash.
making=/opt/killr/configs/.making
rm -rf "$making"
mkdir -m 700 "$making"
tar -x --no-same-owner -C "$making"
rm -rf "/opt/killr/configs/$1"
mv -T "$making/files" "/opt/killr/configs/$1"
rm -rf "$making"
