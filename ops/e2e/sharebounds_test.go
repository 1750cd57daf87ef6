package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"flickrkillr/schema/wire"
)

// boundShares: a form for a link that is refused for a while keeps what it is about, who guesses at a link keeps nobody
// else out, and for a token that somebody makes up nothing is counted or hashed.
func boundShares(t *testing.T, s *peopleSite) {
	p := s.person("helen")
	p.signUp(0)
	hidden, secret := fmt.Sprint(s.post("helen", 6)+4), "by the subway"
	link := p.link(0, url.Values{"photo": {hidden}, "password": {secret}})
	untilLimited := func(send func() *shown) (last *shown) {
		t.Helper()
		for range 25 { // ten are allowed, and the minute may end meanwhile, once
			if last = send(); last.status == http.StatusTooManyRequests {
				return last
			}
			last.expect(http.StatusUnprocessableEntity, "")
		}
		t.Fatal("guesses have no bound")
		return nil
	}
	refused := untilLimited(func() *shown {
		return p.form(1, "/me/shares", url.Values{"photo": {hidden}, "days": {"30"}, "name": {"a friend"},
			"password": {"short"}, "key": {strings.Repeat("k", 26)}})
	})
	for selector, want := range map[string]string{"input[name=photo]": hidden, "option[selected]": "30",
		"input[name=name]": "a friend", "input[name=password]": ""} {
		if got := refused.attr(selector, "value"); got != want {
			t.Errorf("the form that is refused for a while has %s %q, want %q", selector, got, want)
		}
	}

	guesser, other := s.person(""), s.person("")
	untilLimited(func() *shown {
		return guesser.form(2, link, url.Values{"password": {"a guess"}, "key": {strings.Repeat("k", 26)}})
	})
	sub, err := s.nc.SubscribeSync(wire.ActionSubject(wire.ActionShareOpen))
	must(t, err)
	must(t, s.nc.Flush())
	for range 3 {
		guesser.form(3, "/s/"+strings.Repeat("b", 26), url.Values{"password": {"a guess"},
			"key": {strings.Repeat("k", 26)}}).expect(http.StatusNotFound, "")
	}
	must(t, s.nc.Flush())
	if n, _, _ := sub.Pending(); n > 0 {
		t.Errorf("%d passwords of a link that nobody has made reach those that hash", n)
	}
	must(t, sub.Unsubscribe())
	if runtime.GOOS == "linux" { // where all of 127.0.0.0/8 is this machine
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		transport := &http.Transport{DialContext: from.DialContext}
		defer transport.CloseIdleConnections()
		other.client.Transport = transport
		other.form(3, link, url.Values{"password": {secret}}).expect(http.StatusSeeOther, link)
	}
	p.unlink(0)
}
