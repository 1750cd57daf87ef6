package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"flickrkillr/ops/lab/cputime"
)

// largePage is a page as large as a real one, as it travels.
func largePage(b *testing.B) *httptest.ResponseRecorder {
	b.Helper()
	var body strings.Builder
	body.WriteString("<!DOCTYPE html><html>" + head)
	for i := range 48 {
		body.WriteString(photo(1000+i, strings.Repeat(fmt.Sprint(i), 13)))
	}
	body.WriteString("</html>")
	r, w := httptest.NewRequest(http.MethodGet, "/photos/ansel", nil), httptest.NewRecorder()
	r.Header.Set("Accept-Encoding", "gzip")
	for name, value := range map[string]string{"Content-Type": "text/html; charset=utf-8",
		"Cache-Control": "max-age=0, must-revalidate", "X-Cache": "near",
		"Date": "Mon, 02 Jan 2006 15:04:05 GMT", "Server-Timing": "cache;desc=near, edge;dur=0.012",
		"X-Request-Id": "abc123", "Vary": "Accept-Encoding"} {
		w.Header().Set(name, value)
	}
	writePacked(w, r, body.String())
	return w
}

// newBenchRun is a run whose visitors request one page and nothing else.
func newBenchRun(b *testing.B, addr string) *run {
	b.Helper()
	cfg, err := Config{
		Edges: []string{"http://" + addr}, Pages: []Page{PageAt("/photos/ansel")}, VisitPages: 1, KeepConnections: true,
	}.complete()
	if err != nil {
		b.Fatal(err)
	}
	r := newRun(cfg)
	b.Cleanup(func() { r.parsedPages.StopAllGoroutines() })
	return r
}

// BenchmarkPage measures the cost of a page that was seen before: of the visitor, and of the server that sends it.
func BenchmarkPage(b *testing.B) {
	w := largePage(b)
	var ready bytes.Buffer
	fmt.Fprintf(&ready, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", w.Body.Len())
	if err := w.Result().Header.Write(&ready); err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(&ready, "\r\n%s", w.Body.Bytes())
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		answerAll(conn, ready.Bytes())
	})
	r := newBenchRun(b, lis.Addr().String())
	r.cfg.PagesOnly = true
	v := r.newVisitor(0)
	b.Cleanup(func() {
		v.client.close()
		lis.Close()
		serving.Wait()
	})
	b.ReportAllocs()
	before, _ := cputime.Self()
	for b.Loop() {
		v.viewPage(b.Context(), time.Now())
	}
	after, _ := cputime.Self()
	b.ReportMetric(float64((after-before).Microseconds())/float64(b.N), "µs-cpu/page")
	total := newTally()
	r.drain(total)
	if total.failed() > 0 {
		b.Error(total.failures)
	}
}

// answerAll answers every request on a connection with the same bytes.
func answerAll(conn net.Conn, answer []byte) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) == 2 {
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	}
}

// BenchmarkNewPage measures decompressing, checking and parsing a page that was not seen before.
func BenchmarkNewPage(b *testing.B) {
	w, r := largePage(b), newBenchRun(b, "127.0.0.1:1")
	a := newAnswer(http.StatusOK, w.Header(), w.Body.Bytes())
	b.ReportAllocs()
	for b.Loop() {
		r.parsedPages.InvalidateAll()
		if _, err := r.checkPage(r.cfg.Pages[0], a); err != nil {
			b.Fatal(err)
		}
	}
}
