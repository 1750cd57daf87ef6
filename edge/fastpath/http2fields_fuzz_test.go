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
)

// FuzzHTTP2Fields sends header blocks that use one dynamic table to a server with the filter and to one without it.
// The handlers of both get the same fields of the same requests. After a field that is wrong net/http does not decode
// the strings of the same block: so what cannot be decoded ends a connection here, and only resets a stream there. Each
// block is made of a byte, its length, and of so many bytes of the input; one in four comes in two frames.
func FuzzHTTP2Fields(f *testing.F) {
	with, without := startHTTP2(f, nil), startHTTP2With(f, nil, true)
	with.echo, without.echo = true, true
	block := "\x82\x86\x84\x41\x05killr"      // GET http://killr/, and :authority comes into the table
	added := "\x82\x86\x84\xbe\x40\x01a\x01b" // killr from the table, and the field a: b into it
	for _, seed := range []string{
		"", "\x0a" + block, "\x0a" + block + "\x0a" + added + "\x06\x82\x86\x84\xbf\xbe\xbe",
		"\x0a" + block + "\x05\x20\x82\x86\x84\x81",
		"\x0a" + block + "\x06\x3f\xe1\x1f\x82\x86\x84" + "\x04\x82\x86\x84\xbe",
		"\x0a" + block + "\x0b" + block + "\x80", "\x12" + block + "\x00\x02te\x04gzip",
		"\x0e" + block + "\x10\x01c\x01d",
		"\x0e" + block + "\x0f\x11\x01x", "\x11" + block + "\x00\x01A\x03b\x00c",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1000 {
			return
		}
		got, want := answersTo(t, with, input), answersTo(t, without, input)
		if before, ends := strings.CutSuffix(got, "ends\n"); got != want &&
			!(ends && strings.HasPrefix(want, before+"is reset\n")) {
			t.Errorf("%q:\n%s\nwant\n%s", input, got, want)
		}
	})
}

// answersTo describes the answers to requests with some header blocks, one after the other, and how it ends.
func answersTo(t *testing.T, s *http2Site, input []byte) string {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	frames := http2.NewFramer(conn, conn)
	_, err = io.WriteString(conn, http2.ClientPreface)
	if err = errors.Join(err, frames.WriteSettings()); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for id := uint32(1); len(input) > 0; id += 2 {
		n := min(int(input[0]), len(input)-1)
		block, whole := input[1:1+n], id%8 != 7
		input = input[1+n:]
		first := block
		if !whole {
			first = block[:n/2]
		}
		err := frames.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: first, EndStream: true, EndHeaders: whole,
		})
		if err == nil && !whole {
			err = frames.WriteContinuation(id, true, block[n/2:])
		}
		if err != nil {
			break
		}
		text, goesOn := answerTo(frames, id)
		fmt.Fprintf(&all, "%d: %s\n", id, text)
		if !goesOn {
			break
		}
	}
	return all.String()
}

// answerTo reads the answer to a request. A request with fields of the connection is reset here, and gets a 400 from
// net/http.
func answerTo(frames *http2.Framer, id uint32) (text string, goesOn bool) {
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return "is closed", false
		}
		switch f := frame.(type) {
		case *http2.DataFrame:
			if text += string(f.Data()); f.StreamEnded() && f.StreamID == id {
				if strings.HasPrefix(text, "request header ") {
					text = "is reset"
				}
				return text, true
			}
		case *http2.HeadersFrame:
			if f.StreamEnded() && f.StreamID == id {
				return "without a body", true
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "is reset", true
			}
		case *http2.GoAwayFrame:
			return "ends", false
		}
	}
}
