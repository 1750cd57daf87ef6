package payload

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
)

// A message comes as one of these lines, then its header of so many bytes, if it has one, its bytes, and a line end.
// The last number counts header and bytes. All else that a server sends is lines.
//
//	MSG <subject> <sid> [reply] <size>
//	HMSG <subject> <sid> [reply] <header size> <size>
const (
	lineEnd  = "\r\n"
	readSize = 32 << 10 // as nats.go reads; no line about a message is so long
)

var errLine = errors.New("payload: the server has sent a line about a message that is longer than any may be")

// conn is a connection to a NATS server. Read is for one goroutine at a time, as nats.go calls it. After an error it is
// of no use.
type conn struct {
	net.Conn
	receiver *Receiver
	written  bool // nats.go has begun to write; the first bytes say what the connection speaks
	foreign  bool // it is not NATS: TLS or a web socket

	memory []byte
	read   []byte // of memory: what has come, and is not passed on
	ready  []byte // what Read returns next
	line   []byte // memory for a line that was changed

	inLine bool // a line about something else than a message has begun
	pass   int  // bytes that follow and are passed on as they are
	large  int  // bytes that follow then, of a large message; 0: none
}

func newConn(c net.Conn, r *Receiver) *conn {
	return &conn{Conn: c, receiver: r, memory: make([]byte, readSize)}
}

// Write notes by what nats.go begins with whether the connection speaks NATS. With TLS or a web socket that is written
// by the goroutine that reads.
func (c *conn) Write(p []byte) (int, error) {
	if !c.written && len(p) > 0 {
		c.written, c.foreign = true, p[0] != 'C' // CONNECT
	}
	return c.Conn.Write(p)
}

func (c *conn) Read(p []byte) (int, error) {
	for {
		if n := copy(p, c.ready); n > 0 || len(p) == 0 {
			c.ready = c.ready[n:]
			return n, nil
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
}

// next makes something ready, or reads what is needed for that. ready is empty.
func (c *conn) next() error {
	switch {
	case c.pass == 0 && c.large > 0:
		return c.takeLarge()
	case len(c.read) == 0:
		return c.fill()
	case c.foreign:
		c.makeReady(len(c.read))
	case c.pass > 0:
		n := min(c.pass, len(c.read))
		c.pass -= n
		c.makeReady(n)
	case !c.inLine && (c.read[0] == 'M' || c.read[0] == 'H'):
		end := bytes.IndexByte(c.read, '\n')
		if end < 0 {
			return c.fill()
		}
		c.message(c.read[:end+1])
	default:
		end := bytes.IndexByte(c.read, '\n')
		c.inLine = end < 0
		if c.inLine {
			end = len(c.read) - 1
		}
		c.makeReady(end + 1)
	}
	return nil
}

// makeReady passes on n bytes that have come.
func (c *conn) makeReady(n int) { c.ready, c.read = c.read[:n], c.read[n:] }

// fill reads more behind what has come.
func (c *conn) fill() error {
	if len(c.read) == len(c.memory) {
		return errLine
	}
	had := copy(c.memory, c.read)
	n, err := c.Conn.Read(c.memory[had:])
	c.read = c.memory[:had+n]
	if n > 0 {
		return nil // the error comes again
	}
	return err
}

// message passes on a line about a message, which is at the beginning of what has come. In that about a large one it
// replaces the size by that of a message with a ticket. A line that cannot be read is passed on: nats.go says so.
func (c *conn) message(line []byte) {
	fields := bytes.Fields(line)
	header, size, ok := 0, 0, false
	if n := len(fields); n >= 4 {
		var err, other error
		size, err = strconv.Atoi(string(fields[n-1]))
		if line[0] == 'H' {
			header, other = strconv.Atoi(string(fields[n-2]))
		}
		ok = err == nil && other == nil && header >= 0 && size >= header
	}
	data := size - header
	switch {
	case !ok:
		c.makeReady(len(line))
	case data < Least || data > Most || !c.receiver.hasRoom():
		c.makeReady(len(line))
		c.pass = size + len(lineEnd)
	default:
		upTo := bytes.LastIndexAny(bytes.TrimRight(line, lineEnd), " \t")
		c.line = append(append(c.line[:0], line[:upTo+1]...), strconv.Itoa(header+c.receiver.ticketSize())...)
		c.line = append(c.line, lineEnd...)
		c.ready, c.read = c.line, c.read[len(line):]
		c.pass, c.large = header, data
	}
}

// takeLarge reads the bytes of a large message, and makes a ticket for them ready.
func (c *conn) takeLarge() error {
	buf := c.receiver.buffers.Get()
	had := copy(buf[:c.large], c.read)
	c.read = c.read[had:]
	if _, err := io.ReadFull(c.Conn, buf[had:c.large]); err != nil {
		return err
	}
	c.ready = c.receiver.keep(buf, c.large)
	c.pass, c.large = len(lineEnd), 0
	return nil
}
