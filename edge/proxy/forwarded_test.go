package proxy

import (
	"net/netip"
	"testing"
)

// networks are trusted in the tests.
func networks(t testing.TB) Networks {
	t.Helper()
	n, err := ParseNetworks([]string{"10.0.0.0/8", "2001:db8:1::/48", "192.0.2.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	n := networks(t)
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.1": false, "192.0.2.1": true, "192.0.2.2": false,
		"2001:db8:1:2::3": true, "2001:db8:2::1": false, "::1": true,
	} {
		if got := n.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %t", addr, got)
		}
	}
	if every := (Networks{netip.MustParsePrefix("0.0.0.0/0")}); every.Contains(unknown.Addr()) {
		t.Error("a client that the proxy does not know is trusted")
	}
	if n.Contains(netip.Addr{}) || Networks(nil).Contains(netip.MustParseAddr("10.0.0.1")) {
		t.Error("nothing is trusted")
	}
	for _, text := range []string{
		"", "a", "10.0.0.0/33", "10.0.0.0/8,11.0.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.1:80",
	} {
		if _, err := ParseNetworks([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestClient: only what trusted proxies added at the end counts. A client may have sent what stands before it.
func TestClient(t *testing.T) {
	t.Parallel()
	n := networks(t)
	for _, c := range []struct {
		peer  string
		lines []string
		want  string
	}{
		{"203.0.113.9", []string{"198.51.100.1"}, "203.0.113.9"}, // not trusted
		{"10.0.0.1", nil, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1", []string{"1.2.3.4, 203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1", []string{"1.2.3.4", "203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1", []string{"203.0.113.9", "10.0.0.2 ,10.0.0.3"}, "203.0.113.9"},
		{"10.0.0.1", []string{"1.2.3.4,203.0.113.9,\t2001:db8:1::5"}, "203.0.113.9"},
		{"10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"}, // all are trusted
		{"10.0.0.1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"10.0.0.1", []string{"2001:db8:9::7"}, "2001:db8:9::7"},
		{"10.0.0.1", []string{"[2001:db8:9::7]:4711"}, "2001:db8:9::7"},
		{"10.0.0.1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.9, "}, "10.0.0.1"},
		{"10.0.0.1", []string{"203.0.113.9, x, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1", []string{""}, "10.0.0.1"},
	} {
		if got := n.Client(netip.MustParseAddr(c.peer), c.lines); got.String() != c.want {
			t.Errorf("%s %q: %v, want %s", c.peer, c.lines, got, c.want)
		}
	}
	for _, c := range []struct {
		peer  string
		lines []string
		want  bool
	}{
		{"203.0.113.9", []string{"https"}, false}, {"10.0.0.1", nil, false}, {"10.0.0.1", []string{"https"}, true},
		{"10.0.0.1", []string{"HTTPS"}, true}, {"10.0.0.1", []string{"http"}, false},
		{"10.0.0.1", []string{"https", "http"}, false}, {"10.0.0.1", []string{"http, https"}, true},
	} {
		if got := n.Encrypted(netip.MustParseAddr(c.peer), c.lines); got != c.want {
			t.Errorf("%s %q: %t", c.peer, c.lines, got)
		}
	}
}

// TestForwarded: the field of RFC 7239, with the examples of that document.
func TestForwarded(t *testing.T) {
	t.Parallel()
	n := networks(t)
	for _, c := range []struct {
		peer      string
		lines     []string
		want      string
		encrypted bool
	}{
		{"203.0.113.9", []string{"for=1.2.3.4;proto=https"}, "203.0.113.9", false}, // not trusted
		{"10.0.0.1", []string{`for=192.0.2.60;proto=http;by=203.0.113.43`}, "192.0.2.60", false},
		{"10.0.0.1", []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17", false},
		{"10.0.0.1", []string{`for=192.0.2.43, for=198.51.100.17`}, "198.51.100.17", false},
		{"10.0.0.1", []string{`for=192.0.2.43`, `for=198.51.100.17;proto=https`}, "198.51.100.17", true},
		{"10.0.0.1", []string{`for=1.2.3.4, for=203.0.113.9, for=10.0.0.2;proto=HTTPS`}, "203.0.113.9", true},
		{"10.0.0.1", []string{`for="_gazonk"`}, "10.0.0.1", false},
		{"10.0.0.1", []string{`for=unknown;proto=https`}, "10.0.0.1", true},
		{"10.0.0.1", []string{`proto=https`}, "10.0.0.1", true},
		{"10.0.0.1", []string{`for=203.0.113.9:80`}, "203.0.113.9", false},
		{"10.0.0.1", []string{`for="1.2.3.4, for=5.6.7.8", for=203.0.113.9`}, "203.0.113.9", false},
		{"10.0.0.1", []string{`host="a\"b,c;d" ; for=203.0.113.9`}, "203.0.113.9", false},
		// A line that cannot be read as a whole counts for nothing: a client could hide the end in quotes of its own.
		{"10.0.0.1", []string{`for="1.2.3.4, for=203.0.113.9`}, "10.0.0.1", false},
		{"10.0.0.1", []string{`for="1.2.3.4`, `for=203.0.113.9;proto=https`}, "203.0.113.9", true},
		{"10.0.0.1", []string{`for="1.2.3.4`, `for=10.0.0.2`}, "10.0.0.2", false},
		{"10.0.0.1", []string{`for=1.2.3.4 for=5.6.7.8`}, "10.0.0.1", false},
		{"10.0.0.1", []string{`for=1.2.3.4;for=5.6.7.8`}, "10.0.0.1", false},
		{"10.0.0.1", []string{`for`}, "10.0.0.1", false},
		{"10.0.0.1", []string{`=1.2.3.4`}, "10.0.0.1", false},
		{"10.0.0.1", []string{""}, "10.0.0.1", false},
		{"10.0.0.1", nil, "10.0.0.1", false},
	} {
		got, encrypted := n.Forwarded(netip.MustParseAddr(c.peer), c.lines)
		if got.String() != c.want || encrypted != c.encrypted {
			t.Errorf("%s %q: %v %t, want %s %t", c.peer, c.lines, got, encrypted, c.want, c.encrypted)
		}
	}
}

// FuzzForwarded: whatever stands in the field, only addresses that are written there are found.
func FuzzForwarded(f *testing.F) {
	n := networks(f)
	for _, line := range []string{
		`for=192.0.2.43, for="[2001:db8::17]:4711";proto=https`, `for="\"";;,`, "1.2.3.4, 10.0.0.2",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		peer, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.9")
		if got, encrypted := n.Forwarded(stranger, []string{line}); got != stranger || encrypted {
			t.Errorf("%q: a stranger is believed", line)
		}
		if got := n.Client(stranger, []string{line}); got != stranger {
			t.Errorf("%q: a stranger is believed", line)
		}
		if got, _ := n.Forwarded(peer, []string{line, "for=203.0.113.9"}); got != stranger && got != peer {
			t.Errorf("%q: %v, want what the proxy added", line, got)
		}
		if got := n.Client(peer, []string{line, "203.0.113.9"}); got != stranger {
			t.Errorf("%q: %v, want what the proxy added", line, got)
		}
	})
}
