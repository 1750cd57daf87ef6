package encryption

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/crypto/acme"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/bucket"
	"flickrkillr/schema/wire"
)

const photos = "photos.example"

// authority is a CA that begins orders and gives nothing.
type authority struct {
	Authority
	seen   chan string // paths of requests
	orders atomic.Int32
	all    atomic.Pointer[http.HandlerFunc] // answers every request instead; nil: none
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{seen: make(chan string, 1000)}
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	testenv.WriteCertificate(t, roots, &tls.Certificate{Certificate: [][]byte{server.Certificate().Raw}})
	a.Authority = Authority{Domains: []string{photos}, Directory: server.URL + "/directory", Roots: roots}
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.seen <- r.URL.Path
	if all := a.all.Load(); all != nil {
		(*all)(w, r)
		return
	}
	at := "https://" + r.Host
	w.Header().Set("Replay-Nonce", "nonce")
	switch r.URL.Path {
	case "/directory":
		_ = json.NewEncoder(w).Encode(map[string]string{
			"newNonce": at + "/nonce", "newAccount": at + "/account", "newOrder": at + "/order",
		})
	case "/account":
		w.Header().Set("Location", at+"/account/1")
		_, _ = io.WriteString(w, `{"status":"valid"}`)
	case "/order":
		a.orders.Add(1)
		w.Header().Set("Location", at+"/order/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"status":"pending"}`)
	}
}

// refuses has the CA answer everything with a status.
func (a *authority) refuses(status int, retryAfter string) {
	f := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(status)
	})
	a.all.Store(&f)
}

// ordering is what an edge at a bus has of a CA, with a log.
func (a *authority) ordering(t *testing.T, bus *stack.NATS, now ClusterTime) (*Ordered, *testenv.Output) {
	t.Helper()
	said := testenv.NewOutput()
	o, err := NewOrdered(a.Authority, testenv.ConnectAs(t, bus.URL(), wire.RoleEdge), now,
		slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.end(); o.client.CloseIdleConnections() })
	return o, said
}

// clock tells the machine's time, which is known.
func clock() (time.Time, bool) { return time.Now(), true }

// acmeBucket is the bucket with certificates.
func acmeBucket(t *testing.T, bus *stack.NATS) jetstream.KeyValue {
	t.Helper()
	kv, err := bucket.Open(t.Context(), testenv.ConnectAs(t, bus.URL(), wire.RoleEdge), wire.ACMEConfig())
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// put stores a value, and lastTurn reads whose turn it is.
func put(t *testing.T, kv jetstream.KeyValue, key string, value []byte) {
	t.Helper()
	if _, err := kv.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func lastTurn(t *testing.T, kv jetstream.KeyValue) (last turn) {
	t.Helper()
	entry, err := kv.Get(t.Context(), photos+"=turn")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(entry.Value(), &last); err != nil {
		t.Fatal(err)
	}
	return last
}

// stored is a certificate as autocert stores it.
func stored(t *testing.T, name string, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := testenv.CertificateOf(t, key, name, until)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	return b.Bytes()
}

// TestUnusableInBucket: when what is stored is no valid certificate, one edge orders one, and not again while it waits.
func TestUnusableInBucket(t *testing.T) {
	t.Parallel()
	for name, value := range map[string][]byte{
		"expired": stored(t, photos, time.Now().Add(-time.Minute)),
		"another": stored(t, "other.example", time.Now().Add(time.Hour)),
		"none":    []byte("x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, a := testenv.NATSServer(t), newAuthority(t)
			a.refuses(http.StatusForbidden, "")
			kv := acmeBucket(t, bus)
			put(t, kv, photos, value)
			var all []*Ordered
			for range 2 {
				o, _ := a.ordering(t, bus, clock)
				all = append(all, o)
			}
			for range 3 {
				for _, o := range all {
					if o.refresh(t.Context(), photos) {
						t.Fatal("there is a certificate")
					}
				}
			}
			if got := len(a.seen); got != 1 {
				t.Errorf("the CA is asked %d times, want once", got)
			}
			if last := lastTurn(t, kv); last.Tries != 1 {
				t.Errorf("%+v", last)
			}
		})
	}
}

// TestStoredCertificate: an edge takes the certificate in the bucket, and asks no CA.
func TestStoredCertificate(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	put(t, acmeBucket(t, bus), photos, stored(t, photos, time.Now().Add(90*24*time.Hour)))
	o, _ := a.ordering(t, bus, func() (time.Time, bool) { return time.Time{}, false }) // it needs no cluster time
	if !o.refresh(t.Context(), photos) || len(a.seen) > 0 {
		t.Errorf("the CA is asked %d times", len(a.seen))
	}
}

// TestTurns: turns become longer as orders fail, wait for cluster time, and end when a wrong clock or a person made
// them.
func TestTurns(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	kv := acmeBucket(t, bus)
	now, known := time.Now().Truncate(time.Microsecond), false
	o, _ := a.ordering(t, bus, func() (time.Time, bool) { return now, known })
	takes := func(want bool) {
		t.Helper()
		if got, err := o.store.storedOrMine(t.Context(), photos); got != want || err != nil {
			t.Errorf("it takes a turn: %t, %v, want %t", got, err, want)
		}
	}
	takes(false)
	if _, err := kv.Get(t.Context(), photos+"=turn"); err == nil {
		t.Error("a turn is taken before cluster time is known")
	}
	known = true
	for i, minutes := range []int{12, 24, 48, 60, 60} {
		takes(true)
		takes(false)
		end := now.Add(time.Duration(minutes) * time.Minute)
		if last := lastTurn(t, kv); last.Tries != i+1 || last.Until != end.UnixMicro() {
			t.Errorf("%d: %+v", i, last)
		}
		now = end
	}
	now = now.Add(turnFresh + time.Minute)
	takes(true)
	if last := lastTurn(t, kv); last.Tries != 1 {
		t.Errorf("after a long time: %+v", last)
	}
	now = now.Add(-48 * time.Hour) // the clock was ahead when the turn was taken
	takes(true)
	if last := lastTurn(t, kv); last.Tries != 1 {
		t.Errorf("after a wrong clock: %+v", last)
	}
	takes(false)
	if err := kv.Delete(t.Context(), photos+"=turn"); err != nil {
		t.Fatal(err)
	}
	takes(true)
}

// TestOrdersNeedATurn: whatever autocert begins, a renewal too, the CA gets orders of one edge, and none without the
// bus.
func TestOrdersNeedATurn(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	acmeBucket(t, bus)
	var clients []*acme.Client
	for range 2 {
		o, _ := a.ordering(t, bus, clock)
		client := o.manager.Client
		var err error
		if client.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client)
	}
	order := func(client *acme.Client) error {
		_, err := client.AuthorizeOrder(t.Context(), acme.DomainIDs(photos))
		return err
	}
	for range 2 { // an order for each kind of challenge
		if err := order(clients[0]); err != nil {
			t.Error(err)
		}
	}
	if err := order(clients[1]); err == nil || !strings.Contains(err.Error(), "another edge's turn") {
		t.Errorf("another edge orders too: %v", err)
	}
	bus.Stop()
	testenv.Eventually(t, "without the bus nothing is ordered", func() bool {
		a.orders.Store(2)
		return order(clients[0]) != nil && a.orders.Load() == 2
	})
}

// TestEndWhileWaiting: an edge stops at once while a CA has it wait.
func TestEndWhileWaiting(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	a.refuses(http.StatusServiceUnavailable, "3600")
	o, _ := a.ordering(t, bus, clock)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); o.Run(ctx) }()
	<-a.seen
	cancel()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for the CA")
	}
}

// TestTooManyRequests: a CA that wants no more requests gets none.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	a.refuses(http.StatusTooManyRequests, "1")
	o, said := a.ordering(t, bus, clock)
	if o.refresh(t.Context(), photos) || len(a.seen) != 1 {
		t.Errorf("the CA is asked %d times", len(a.seen))
	}
	if _, ok := said.Line("the CA gives no certificate", photos); !ok {
		t.Errorf("the log says %s", said)
	}
}

// TestLongPause: while an order is under way the CA's pauses have a bound, and end with the edge.
func TestLongPause(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	o, _ := a.ordering(t, bus, clock)
	a.refuses(http.StatusOK, "3600")
	done := make(chan error, 1)
	go func() {
		answer, err := o.client.Get(a.Directory)
		if err == nil {
			defer answer.Body.Close()
			if after := answer.Header.Get("Retry-After"); after != "" {
				t.Errorf("the pause of %s s is left to others", after)
			}
		}
		done <- err
	}()
	<-a.seen
	o.end()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits")
	}
}

// TestUnreadBucket: an edge that cannot read whether there is a certificate is not ready, and says so once a minute. It
// is ready while one is ordered.
func TestUnreadBucket(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	a.refuses(http.StatusForbidden, "")
	js, err := jetstream.New(testenv.Connect(t, bus.URL()))
	if err != nil {
		t.Fatal(err)
	}
	testenv.KeepStreams(t, js)
	name := wire.BucketStream(wire.BucketACME)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name}); err != nil { // no bucket
		t.Fatal(err)
	}
	o, said := a.ordering(t, bus, clock)
	for range 3 {
		if o.refresh(t.Context(), photos) || o.Ready() == nil {
			t.Error("an edge that can read no certificate is ready")
		}
	}
	if got := strings.Count(said.String(), "cannot be read"); got != 1 {
		t.Errorf("it says so %d times: %s", got, said)
	}
	if err := js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if o.refresh(t.Context(), photos) || o.Ready() != nil {
		t.Errorf("an edge that orders a certificate is not ready: %v", o.Ready())
	}
}

// TestAnswer: whoever asks for an unknown challenge hears nothing of the bus, and many are not answered at once.
func TestAnswer(t *testing.T) {
	t.Parallel()
	bus, a := testenv.NATSServer(t), newAuthority(t)
	kv := acmeBucket(t, bus)
	put(t, kv, "known=http-01", []byte("answer"))
	o, _ := a.ordering(t, bus, clock)
	handler := o.Answer(http.NotFoundHandler())
	ask := func(token string, status int, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		url := "http://" + photos + ":80/.well-known/acme-challenge/" + token
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		if w.Code != status || w.Body.String() != body {
			t.Errorf("%s: %d %q, want %d %q", token, w.Code, w.Body, status, body)
		}
	}
	ask("known", http.StatusOK, "answer")
	ask("unknown", http.StatusNotFound, "")
	for range mostAsked {
		o.take()
	}
	ask("known", http.StatusServiceUnavailable, "")
	hello := &tls.ClientHelloInfo{ServerName: photos, SupportedProtos: []string{acme.ALPNProto}}
	if _, err := o.Get(hello); err == nil || !strings.Contains(err.Error(), "at once") {
		t.Errorf("a challenge of TLS: %v", err)
	}
	bus.Stop()
	for range mostAsked {
		o.give()
	}
	ask("known", http.StatusNotFound, "")
}
