# tidy.sh PATH...: removes releases and configurations, by their paths below /opt/killr.
cd /opt/killr
rm -rf -- "$@"
