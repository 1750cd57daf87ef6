# drain.sh: notes that this host is to run nothing.
touch /opt/killr/drained
