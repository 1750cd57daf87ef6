package payload_test

import (
	"bytes"
	fill "crypto/rand"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/payload"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// limit is how long a test waits for what comes at once.
const limit = 30 * time.Second

// sizes are lengths of messages on both sides of the bounds, and around what is read at a time.
var sizes = []int{0, 1, 34, 4096, 32<<10 - 30, 32 << 10, payload.Least - 1, payload.Least, payload.Least + 1, 300_000,
	payload.Most - 1, payload.Most, payload.Most + 1}

// ticket is the length of a ticket in bytes.
const ticket = 34

// bus is a nats-server and a connection to it that reads large messages by a receiver.
type bus struct {
	t        *testing.T
	receiver *payload.Receiver
	nc       *nats.Conn
	sender   *nats.Conn
	sub      *nats.Subscription
}

// newBus connects by a dialer, or by the receiver itself if there is none, and subscribes.
func newBus(t *testing.T, cfg *tls.Config, dialer func(*payload.Receiver) nats.CustomDialer) *bus {
	t.Helper()
	n, err := stack.StartNATS(stack.NATSConfig{Dir: t.TempDir(), TLS: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Stop)
	b := &bus{t: t, receiver: payload.NewReceiver()}
	b.receiver.KeepFor(time.Hour) // nothing is dropped because the machine is slow
	connect := func(options ...nats.Option) *nats.Conn {
		if cfg != nil {
			options = append(options, nats.Secure(&tls.Config{InsecureSkipVerify: true}))
		}
		nc, err := nats.Connect(n.URL(), options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	b.nc, b.sender = connect(nats.SetCustomDialer(dialer(b.receiver))), connect()
	if b.sub, err = b.nc.SubscribeSync("files"); err == nil {
		err = errors.Join(b.sub.SetPendingLimits(-1, -1), b.nc.Flush())
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func byReceiver(r *payload.Receiver) nats.CustomDialer { return r }

// send sends a message of size bytes, and returns them.
func (b *bus) send(size int, header nats.Header) []byte {
	b.t.Helper()
	data := make([]byte, size)
	_, _ = fill.Read(data)
	if err := b.sender.PublishMsg(&nats.Msg{Subject: "files", Header: header, Data: data}); err != nil {
		b.t.Fatal(err)
	}
	return data
}

func (b *bus) next() *nats.Msg {
	b.t.Helper()
	m, err := b.sub.NextMsg(limit)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// exchange sends messages of all sizes and takes them. It returns how many nats.go has read itself.
func (b *bus) exchange() (asUsual int) {
	b.t.Helper()
	for round := range 4 {
		var header nats.Header
		if round%2 == 0 {
			header = nats.Header{"Name": {"a.jpg"}, "Other": {string(bytes.Repeat([]byte("x"), 3000*round))}}
		}
		var sent [][]byte
		for _, n := range rand.Perm(len(sizes)) {
			sent = append(sent, b.send(sizes[n], header))
		}
		for n, want := range sent {
			m := b.next()
			if len(m.Data) == len(want) && len(want) > ticket {
				asUsual++
			}
			got, done, err := b.receiver.Take(m)
			if err != nil || !bytes.Equal(got, want) || len(m.Header) != len(header) ||
				m.Header.Get("Other") != header.Get("Other") {
				b.t.Fatalf("message %d of %d bytes: %d bytes, %v, header %v", n, len(want), len(got), err, m.Header)
			}
			if n%3 > 0 {
				done()
			}
		}
	}
	if n := b.receiver.Kept(); n != 0 {
		b.t.Errorf("the bytes of %d messages are kept that were taken", n)
	}
	return asUsual
}

// cutting is a dialer whose connections bring a few bytes at a time.
type cutting struct{ *payload.Receiver }

// Dial connects by way of a relay, which reads from the server what it likes and passes it on in pieces.
func (c cutting) Dial(network, address string) (net.Conn, error) {
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer relay.Close()
	near, err := c.Receiver.Dial(network, relay.Addr().String())
	if err != nil {
		return nil, err
	}
	client, err := relay.Accept()
	if err != nil {
		return nil, err
	}
	server, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	pass := func(to, from net.Conn, most int) {
		defer to.Close()
		buf := make([]byte, 70_000)
		for {
			n, err := from.Read(buf[:1+rand.IntN(most)])
			if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
				return
			}
		}
	}
	go pass(server, client, 4096)
	go pass(client, server, 70_000)
	return near, nil
}

// TestTake: messages of all sizes come whole and in their order, with and without a header, however the bytes arrive,
// and nats.go has read none of the large ones.
func TestTake(t *testing.T) {
	t.Parallel()
	small := 0
	for _, size := range sizes {
		if size > ticket && (size < payload.Least || size > payload.Most) {
			small++
		}
	}
	for name, dialer := range map[string]func(*payload.Receiver) nats.CustomDialer{
		"as it comes": byReceiver,
		"in pieces":   func(r *payload.Receiver) nats.CustomDialer { return cutting{r} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, nil, dialer)
			if n := b.exchange(); n != 4*small {
				t.Errorf("nats.go has read %d messages, want %d", n, 4*small)
			}
		})
	}
}

// TestTakeByTLS: a connection with TLS brings every message as usual.
func TestTakeByTLS(t *testing.T) {
	t.Parallel()
	cert, key := testenv.CertificateFiles(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	longer := 0
	for _, size := range sizes {
		if size > ticket {
			longer++
		}
	}
	b := newBus(t, &tls.Config{Certificates: []tls.Certificate{pair}}, byReceiver)
	if n := b.exchange(); n != 4*longer {
		t.Errorf("nats.go has read %d messages, want %d", n, 4*longer)
	}
}

// TestUsedAgain: what is done gives its memory to one further message, and what is in use keeps it.
func TestUsedAgain(t *testing.T) {
	t.Parallel()
	b := newBus(t, nil, byReceiver)
	var sent, taken [][]byte
	take := func() (done func()) {
		sent = append(sent, b.send(payload.Least, nil))
		data, done, err := b.receiver.Take(b.next())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, data)
		return done
	}
	done := take()
	take()
	done()
	take()
	take()
	if &taken[2][0] != &taken[0][0] {
		t.Error("memory that is not in use was not used again")
	}
	for n, data := range taken[1:] {
		if !bytes.Equal(data, sent[n+1]) {
			t.Errorf("the memory of message %d was used again while it was in use", n+1)
		}
	}
}

// TestTakeNone: what nobody takes is dropped some time later, and cannot be taken then. Of many messages that wait
// nats.go has those that came last, and the others can be taken.
func TestTakeNone(t *testing.T) {
	t.Parallel()
	b := newBus(t, nil, byReceiver)
	b.receiver.KeepFor(time.Millisecond)
	b.send(payload.Least, nil)
	late := b.next()
	testenv.Eventually(t, "it is dropped", func() bool { return b.receiver.Kept() == 0 })
	if _, _, err := b.receiver.Take(late); !errors.Is(err, payload.ErrLate) {
		t.Errorf("taken late: %v", err)
	}
	if _, _, err := (*payload.Receiver)(nil).Take(late); err != nil {
		t.Errorf("without a receiver: %v", err)
	}

	b.receiver.KeepFor(time.Hour)
	var sent [][]byte
	var came []*nats.Msg
	for range payload.MostKept + 3 {
		sent = append(sent, b.send(payload.Least, nil))
		came = append(came, b.next())
	}
	if n := b.receiver.Kept(); n != payload.MostKept {
		t.Errorf("%d messages are kept, want %d", n, payload.MostKept)
	}
	for n, m := range came {
		got, done, err := b.receiver.Take(m)
		if err != nil || !bytes.Equal(got, sent[n]) {
			t.Fatalf("message %d: %d bytes, %v", n, len(got), err)
		}
		done()
		if _, _, err := b.receiver.Take(m); n < payload.MostKept && !errors.Is(err, payload.ErrLate) {
			t.Fatalf("message %d, taken twice: %v", n, err)
		}
	}
}

// TestOf: a connection has the receiver that it was made with.
func TestOf(t *testing.T) {
	t.Parallel()
	b := newBus(t, nil, byReceiver)
	if payload.Of(b.nc) != b.receiver || payload.Of(b.sender) != nil || payload.Of(nil) != nil {
		t.Error("the receiver of a connection is another one")
	}
}

// TestBuffers: a buffer that was put back is used again, one that is in use is nobody else's, and the collector takes
// those that nothing uses.
func TestBuffers(t *testing.T) {
	t.Parallel()
	var all payload.Buffers
	a, b := all.Get(), all.Get()
	if a == b {
		t.Fatal("a buffer is used twice")
	}
	all.Put(a)
	if all.Get() != a {
		t.Error("a buffer is not used again")
	}
	taken := make(chan struct{})
	runtime.AddCleanup(b, func(struct{}) { close(taken) }, struct{}{})
	all.Put(b)
	b = nil
	testenv.Eventually(t, "the collector takes the other one", func() bool {
		runtime.GC()
		select {
		case <-taken:
			return true
		default:
			return false
		}
	})
	if all.Get() == a {
		t.Error("a buffer that is in use is given again")
	}
	runtime.KeepAlive(a)
}
