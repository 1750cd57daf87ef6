package testenv

import (
	"regexp"
	"testing"
)

// UpArgs are the arguments of killr for an `up` with its data in a directory: a small site on free ports. more are
// further flags of `up`.
func UpArgs(data string, more ...string) []string {
	return append([]string{
		"--data", data, "--log-format", "text", "up", "--addr", "127.0.0.1:0", "--nats-port", "0",
		"--memcached-memory", "64", "--users", "40", "--photos", "300",
	}, more...)
}

var siteAt = regexp.MustCompile(`Flickr Killr is at (http://[^ ]+)`)

// SiteURL waits until an `up` says where its first edge is, and returns that, with a slash at the end.
func SiteURL(t testing.TB, up *Process) string {
	t.Helper()
	line := up.WaitLine(t, up.Stdout, "Flickr Killr is at http://")
	return siteAt.FindStringSubmatch(line)[1]
}
