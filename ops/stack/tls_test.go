package stack_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
)

// TestBusByTLS: a bus that speaks TLS is joined with the certificates that sign its own, and not without.
func TestBusByTLS(t *testing.T) {
	t.Parallel()
	cert, key := testenv.CertificateFiles(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := func(cfg *tls.Config) string {
		n, err := stack.StartNATS(stack.NATSConfig{Dir: t.TempDir(), TLS: cfg})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Stop)
		return n.URL()
	}
	join := func(to stack.Login) *stack.Bus {
		b, err := stack.JoinBus(to, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	encrypted, plain := server(&tls.Config{Certificates: []tls.Certificate{pair}}), server(nil)
	other, _ := testenv.CertificateFiles(t)

	b := join(stack.Login{URL: encrypted, CA: cert})
	testenv.Eventually(t, "it is connected", func() bool { return b.Down() == nil })
	if _, err := b.TLSConnectionState(); err != nil {
		t.Error(err)
	}
	heard, err := b.SubscribeSync("test")
	if err == nil {
		err = b.Publish("test", nil)
	}
	if err == nil {
		_, err = heard.NextMsg(30 * time.Second)
	}
	if err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		name string
		to   stack.Login
		want string
	}{
		{"no certificates", stack.Login{URL: encrypted}, "certificate"},
		{"those of another bus", stack.Login{URL: encrypted, CA: other}, "certificate"},
		{"a bus without TLS", stack.Login{URL: plain, CA: cert}, "leave out --nats-ca"},
	} {
		b := join(c.to)
		testenv.Eventually(t, c.name+": it says why", func() bool {
			err := b.Down()
			if err == nil {
				t.Fatalf("%s: it is connected", c.name)
			}
			return strings.Contains(err.Error(), c.want)
		})
	}

	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{empty, empty + ".none"} {
		b, err := stack.JoinBus(stack.Login{URL: encrypted, CA: ca}, "test", nil)
		if err == nil {
			b.Close()
			t.Fatalf("joined with %s", ca)
		}
		if !strings.Contains(err.Error(), "correct --nats-ca") || !strings.Contains(err.Error(), ca) {
			t.Error(err)
		}
	}
}
