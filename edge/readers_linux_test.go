package edge

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestVisitorsWhoDoNotRead: visitors ask for a picture and read nothing of it. The edge soon closes their connections.
// Other visitors get the picture meanwhile.
func TestVisitorsWhoDoNotRead(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, onPath func(*Config)) {
		s := newSite(t)
		s.renderer()
		s.answerWith(func(_ *nats.Msg, ref page.Ref) *wire.Reply {
			r := s.standard(ref)
			if ref.Kind() == page.KindImage {
				r.ContentType, r.Body = "image/jpeg", make([]byte, 300_000)
			}
			return r
		})
		e := s.edge(onPath)
		picture := page.Image("aaaaaaaaaaaaaaaaaaaaaaaaaa", 1280).Path()
		get(t, e, picture)
		narrow := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096); err != nil {
					t.Error(err)
				}
			})
		}}
		for range 20 {
			conn := connect(t, e, &narrow)
			if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", picture); err != nil {
				t.Fatal(err)
			}
		}
		if got := get(t, e, picture); got.status != 200 || len(got.body) != 300_000 {
			t.Errorf("another visitor: status %d, %d bytes", got.status, len(got.body))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second) // less than an idle connection may last
		defer cancel()
		if err := e.fast.Wait(ctx); err != nil {
			t.Errorf("connections are still open: %v", err)
		}
	})
}

// TestGivenSocketIsBounded: a socket that somebody else has opened gets the bounds of slow readers too.
func TestGivenSocketIsBounded(t *testing.T) {
	t.Parallel()
	lis := shared(t, 1)[0]
	e := newSite(t).start(func(c *Config) { c.Listener = lis })
	if e.Addr() != lis.Addr().String() {
		t.Errorf("the edge listens on %s and not on %s", e.Addr(), lis.Addr())
	}
	c, err := lis.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Control(func(fd uintptr) {
		unsent, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
		if err != nil || unsent != unsentBytes {
			t.Errorf("%d bytes wait in the kernel, %v", unsent, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
