package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"flickrkillr/schema/wire"
)

// TestFormMemory: beyond what an edge keeps of the forms of one address further ones are refused, until those are
// answered. Others' are taken.
func TestFormMemory(t *testing.T) {
	t.Parallel()
	onPaths(t, func(t *testing.T, onPath func(*Config)) {
		e := newSite(t).start(onPath)
		full := netip.MustParsePrefix("127.0.0.1/32")
		if !e.forms.take(full, mostForms-wire.MaxForm) {
			t.Fatal("there is no room")
		}
		post := func(from string, sends int) (c *rawClient, status func() int) {
			conn, err := tryConnect(t, e, &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}})
			if err != nil {
				t.Fatal(err)
			}
			c = &rawClient{t, conn, bufio.NewReader(conn)}
			c.send(fmt.Sprintf("POST /signin HTTP/1.1\r\nHost: killr\r\nContent-Length: %d\r\n"+
				"Content-Type: application/x-www-form-urlencoded\r\n\r\n", wire.MaxForm) + strings.Repeat("a", sends))
			return c, func() int { return c.receive(http.MethodPost).status }
		}
		held := func() int {
			e.forms.mu.Lock()
			defer e.forms.mu.Unlock()
			return e.forms.held[full]
		}
		const half = wire.MaxForm / 2
		first, answer := post("127.0.0.1", half)
		eventually(t, "half of a form is kept", func() bool { return held() == mostForms-half })
		_, refused := post("127.0.0.1", wire.MaxForm)
		if got := refused(); got != http.StatusServiceUnavailable {
			t.Errorf("a form too much: %d", got)
		}
		if _, other := post("127.0.0.2", wire.MaxForm); other() == http.StatusServiceUnavailable {
			t.Error("a form of another address is refused")
		}
		if _, err := io.WriteString(first.conn, strings.Repeat("a", half)); err != nil {
			t.Fatal(err)
		}
		if got := answer(); got == http.StatusServiceUnavailable {
			t.Error("the form that came first is refused")
		}
		e.forms.give(full, mostForms-wire.MaxForm)
		eventually(t, "nothing is kept", func() bool {
			e.forms.mu.Lock()
			defer e.forms.mu.Unlock()
			return len(e.forms.held) == 0
		})
	}, fastPath, encrypted)
}

// TestBrokenOffForm: a form whose client leaves counts no more, although what was sent of it can still be read.
func TestBrokenOffForm(t *testing.T) {
	t.Parallel()
	s := &Server{forms: newFormMemory()}
	held := func() int {
		s.forms.mu.Lock()
		defer s.forms.mu.Unlock()
		return len(s.forms.held)
	}
	ctx, leave := context.WithCancel(t.Context())
	body := s.counted(httptest.NewRequestWithContext(ctx, http.MethodPost, "/signin", nil),
		strings.NewReader(strings.Repeat("a", wire.MaxForm)))
	if n, err := body.Read(make([]byte, 1000)); n != 1000 || err != nil || held() != 1 {
		t.Fatalf("%d bytes, %v; %d addresses", n, err, held())
	}
	leave()
	eventually(t, "nothing is kept", func() bool { return held() == 0 })
	if rest, err := io.ReadAll(body); len(rest) > 0 || !errors.Is(err, context.Canceled) || held() != 0 {
		t.Errorf("%d further bytes, %v; %d addresses", len(rest), err, held())
	}
}
