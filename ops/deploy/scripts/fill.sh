# fill.sh: undoes drain.sh.
rm -f /opt/killr/drained
