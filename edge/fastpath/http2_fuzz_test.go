package fastpath

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// FuzzHTTP2 sends frames to a server with the filter, which answers none of the requests, and to one without it. Both
// go on with the connection, or both end it for the same reason; but of a header block that is wrong and does not go on
// either error may be named, and net/http does not decode what comes behind a field that is wrong. A setting that comes
// twice, which net/http alone takes for an attack, is not sent. Each frame is made of four bytes of the input (type,
// flags, stream, length) and a payload.
func FuzzHTTP2(f *testing.F) {
	block := "\x82\x86\x84\x41\x05killr" // GET http://killr/
	for _, seed := range []string{
		"", "\x01\x05\x01\x0b" + block, "\x01\x04\x01\x0b" + block + "\x00\x01\x01\x03abc",
		"\x01\x01\x01\x04" + block[:4] + "\x09\x04\x01\x07" + block[4:],
		"\x04\x00\x00\x06\x00\x04\x00\x00\x00\x09", "\x08\x00\x00\x04\x00\x00\xff\xff",
		"\x01\x2d\x01\x11\x01\x00\x00\x00\x00\x10" + block + "\x00", "\x02\x00\x03\x05\x00\x00\x00\x00\x01",
		"\x03\x00\x01\x04\x00\x00\x00\x08", "\x01\x05\x01\x01\x80", "\x07\x00\x00\x08aaaabbbb",
		"\x01\x05\x02\x0b" + block,
		"\x01\x05\x01\x0b" + block + "\x01\x05\x03\x01\x82\x08\x00\x03\x04\x00\x00\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	with, without := startHTTP2(f, nil), startHTTP2With(f, nil, true)
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 2000 {
			return
		}
		got, want := outcome(t, with, input), outcome(t, without, input)
		if got != want && !(ended(got) && ended(want) && (got == closed || want == closed)) &&
			!(ended(got) && !ended(want) && undecodable(input)) {
			t.Errorf("%q: %s, want %s", input, got, want)
		}
	})
}

// undecodable reports whether a header block of some frames cannot be decoded, which must end a connection.
func undecodable(input []byte) bool {
	decoder := hpack.NewDecoder(tableSize, func(hpack.HeaderField) {})
	for ; len(input) >= 4; input = input[4:] {
		kind, flags, n := http2.FrameType(input[0]%11), http2.Flags(input[1]), min(int(input[3]), len(input)-4)
		block := input[4 : 4+n]
		if kind == http2.FrameHeaders {
			h, _ := readHeaders(flags, 0, block)
			block = h.block
		}
		if kind == http2.FrameHeaders || kind == http2.FrameContinuation {
			_, err := decoder.Write(block)
			if flags.Has(http2.FlagHeadersEndHeaders) {
				err = errors.Join(err, decoder.Close())
			}
			if err != nil {
				return true
			}
		}
		input = input[n:]
	}
	return false
}

// closed is the outcome of a connection that ends, and does not say why: what says so may be lost when the client still
// sends.
const closed = "is closed"

func ended(outcome string) bool { return outcome == closed || strings.HasPrefix(outcome, "ends: ") }

// outcome says how a connection ends that brings some frames.
func outcome(t *testing.T, s *http2Site, input []byte) string {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	frames := http2.NewFramer(conn, conn)
	frames.AllowIllegalWrites = true
	_, err = io.WriteString(conn, http2.ClientPreface)
	err = errors.Join(err, frames.WriteSettings())
	for len(input) >= 4 && err == nil {
		kind, flags, stream := http2.FrameType(input[0]%11), http2.Flags(input[1]), uint32(input[2]%16)
		n := min(int(input[3]), len(input)-4)
		if kind != http2.FrameSettings || !repeatsSetting(input[4:4+n]) {
			err = frames.WriteRawFrame(kind, flags, stream, input[4:4+n])
		}
		input = input[4+n:]
	}
	_ = frames.WritePing(false, [8]byte{'l', 'a', 's', 't'})
	for {
		frame, err := frames.ReadFrame()
		switch f := frame.(type) {
		case *http2.PingFrame:
			if f.IsAck() && f.Data == [8]byte{'l', 'a', 's', 't'} {
				return "goes on"
			}
		case *http2.GoAwayFrame:
			if f.ErrCode == http2.ErrCodeCompression {
				f.ErrCode = http2.ErrCodeProtocol
			}
			return fmt.Sprint("ends: ", f.ErrCode)
		}
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			return "says nothing"
		}
		if err != nil {
			return closed
		}
	}
}

func repeatsSetting(payload []byte) bool {
	seen := map[[2]byte]bool{}
	for len(payload) >= settingSize {
		id := [2]byte(payload)
		if seen[id] {
			return true
		}
		seen[id], payload = true, payload[settingSize:]
	}
	return false
}
