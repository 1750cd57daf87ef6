package fastpath

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// recorded is a connection that brings what was recorded, several frames in a Read, and takes everything.
type recorded struct {
	net.Conn
	in io.Reader
}

func (r *recorded) Read(b []byte) (int, error)       { return r.in.Read(b) }
func (r *recorded) Write(b []byte) (int, error)      { return len(b), nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }
func (r *recorded) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// BenchmarkHTTP2Near measures what the filter does for a request that it answers, without the connection below.
func BenchmarkHTTP2Near(b *testing.B) {
	s := New(Config{
		Handler: nearSite{}, IdleTimeout: time.Hour, WriteTimeout: time.Minute, Paced: func() { b.Error("it waits") },
		Log: slog.New(slog.DiscardHandler),
	})
	var in, block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	frames := http2.NewFramer(&in, nil)
	request := func(id uint32) {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "killr"},
			{":path", "/photos/ansel"}, {"accept-encoding", "gzip"}, {"user-agent", "benchmark"}} {
			_ = fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true,
			EndHeaders: true})
	}
	in.WriteString(http2.ClientPreface)
	_ = frames.WriteWindowUpdate(0, 1<<30)
	for i := range b.N {
		request(uint32(2*i+1) % (1 << 31))
	}
	preface := bytes.Clone(in.Next(len(http2.ClientPreface)))
	f := newHTTP2Filter(s.add(&recorded{in: &in}, nil))
	f.begin(preface)
	f.out.begun = true // so nothing waits for a frame of net/http
	b.ReportAllocs()
	b.ResetTimer()
	var p [4 << 10]byte
	for {
		if _, err := f.read(p[:]); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// nearSite has one page, in memory.
type nearSite struct{}

var nearBlock = append(AppendStatus(nil, 200), "\x5f\x09text/html"...)

func (nearSite) ServeFast(Responder, *Request) (Reason, error) { return ReasonNoPage, nil }
func (nearSite) ServeNear(w Stream, _ *Request) bool {
	if !w.Fits(10) {
		return false
	}
	w.Answer(nearBlock, nearBlock[:10])
	return true
}
