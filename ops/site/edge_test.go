package site

import "testing"

func TestNthAddr(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr string
		n    int
		want string
	}{
		{"127.0.0.1:8080", 0, "127.0.0.1:8080"},
		{"127.0.0.1:8080", 2, "127.0.0.1:8082"},
		{":0", 3, ":0"},
		{"[::1]:80", 1, "[::1]:81"},
	} {
		if got, err := NthAddr(c.addr, c.n); err != nil || got != c.want {
			t.Errorf("NthAddr(%q, %d) = %q, %v; want %q", c.addr, c.n, got, err, c.want)
		}
	}
	if _, err := NthAddr("nonsense", 1); err == nil {
		t.Error("nonsense is no address")
	}
}
