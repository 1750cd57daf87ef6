// Package payload reads the bytes of large messages of a NATS connection into memory that is used again.
//
// nats.go makes memory for each message. For chunks of files that is garbage of as many bytes as are sent. It also
// costs the processor time to clear that memory, to copy into it and to collect it.
//
// **Input**: a NATS connection whose dialer is a [Receiver], and its messages. **Output**: the bytes of each. **Must
// not touch**: subjects and headers. A connection with TLS has nothing read so: its bytes are known to nats.go alone.
package payload

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// Least is how many bytes a message has at least that is read into memory that is used again. Others go through
	// nats.go as usual.
	Least = 64 << 10
	// Most is how many bytes it has at most: those of a chunk of a file.
	Most = 512 << 10
	// mostKept is how many messages are kept for Take. While there are so many, others go through nats.go, which
	// bounds the bytes of messages that wait for a handler.
	mostKept = 64
	// untakenFor is how long the bytes of a message are kept for Take. Chunks are taken at once. One whose download was
	// broken off holds one of the places until then.
	untakenFor = 3 * time.Second
	// dialTimeout is how long it may take to connect, as for other connections to the bus.
	dialTimeout = 2 * time.Second
)

// ErrLate: a message was taken so late that its bytes were dropped.
var ErrLate = errors.New("the bytes of a message were dropped: nobody took it in time")

// Receiver is the dialer of a NATS connection ([nats.SetCustomDialer]). It reads the bytes of large messages, and
// nats.go gets a ticket in their place, for which Take has the bytes. So every message that may be large must be given
// to Take. The methods may be called at once; those of a nil Receiver take messages as nats.go has them.
type Receiver struct {
	prefix  []byte // of tickets; no sender knows it
	buffers buffers

	mu    sync.Mutex
	last  uint64
	kept  map[uint64]*kept
	after time.Duration // after which the bytes of a message are dropped
}

// kept is a message that waits for Take.
type kept struct {
	buf  *buffer
	size int
	drop *time.Timer
}

// NewReceiver returns the dialer for one connection.
func NewReceiver() *Receiver {
	return &Receiver{prefix: []byte(rand.Text()), kept: map[uint64]*kept{}, after: untakenFor}
}

// Of is the receiver of a connection, nil if it has none.
func Of(nc *nats.Conn) *Receiver {
	if nc == nil {
		return nil
	}
	r, _ := nc.Opts.CustomDialer.(*Receiver)
	return r
}

// Dial implements [nats.CustomDialer].
func (r *Receiver) Dial(network, address string) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return nil, err
	}
	return newConn(c, r), nil
}

// Take returns the bytes of a message. The caller may call done when it needs them no more; they are something else's
// then. Each message is taken once. Its error is ErrLate.
func (r *Receiver) Take(m *nats.Msg) (data []byte, done func(), err error) {
	if r == nil || len(m.Data) != r.ticketSize() || !bytes.HasPrefix(m.Data, r.prefix) {
		return m.Data, func() {}, nil
	}
	k := r.remove(binary.BigEndian.Uint64(m.Data[len(r.prefix):]))
	if k == nil {
		return nil, nil, ErrLate
	}
	k.drop.Stop()
	return k.buf[:k.size], func() { r.buffers.Put(k.buf) }, nil
}

// keep keeps the bytes of a message and returns the ticket for them.
func (r *Receiver) keep(buf *buffer, size int) (ticket []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	n := r.last
	r.kept[n] = &kept{buf, size, time.AfterFunc(r.after, func() {
		if k := r.remove(n); k != nil {
			r.buffers.Put(k.buf)
		}
	})}
	return binary.BigEndian.AppendUint64(bytes.Clone(r.prefix), n)
}

// hasRoom reports whether one more message may be kept.
func (r *Receiver) hasRoom() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.kept) < mostKept
}

func (r *Receiver) remove(n uint64) *kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kept[n]
	delete(r.kept, n)
	return k
}

// ticketSize is the length of a ticket in bytes.
func (r *Receiver) ticketSize() int { return len(r.prefix) + 8 }
