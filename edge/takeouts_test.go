package edge

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

const takeoutID = "abcdefghijklmnopqrstuvwxyz"

// takeouts answers requests about one zip file of user 7 as renderers do. Its files have bytes that follow from the
// photo and the place, so they take no memory.
type takeouts struct {
	sizes  func(i int) int64 // of the original of photo i+1
	crc    func(i int) uint32
	photos int
	json   []byte
	file   wire.TakeoutFile
	chunks atomic.Int64
}

func newTakeouts(photos int, sizes func(i int) int64, crc func(i int) uint32, json []byte) *takeouts {
	f := &takeouts{sizes: sizes, crc: crc, photos: photos, json: json}
	for i := range photos + 1 {
		if i%wire.PlanPart == 0 {
			f.file.Parts = append(f.file.Parts, f.file.End)
		}
		file := f.planned(i)
		entry := file.Entry()
		f.file.End.Add(&entry)
	}
	f.file.Name, f.file.Bytes = "ansel 2026-11-30.zip", f.file.End.Size()
	return f
}

func (f *takeouts) planned(i int) wire.PlannedFile {
	if i == f.photos {
		return wire.PlannedFile{Name: "photos.json", Bytes: int64(len(f.json)), CRC32: crc32.ChecksumIEEE(f.json)}
	}
	if size := int(f.sizes(i)); size > 0 && size < 60 { // a short one is a text
		text := strings.Repeat(strconv.Itoa(i%10), size)
		return wire.PlannedFile{Name: fmt.Sprintf("photos/%d.txt", i+1), Text: text, Bytes: int64(size),
			CRC32: crc32.ChecksumIEEE([]byte(text))}
	}
	return wire.PlannedFile{Photo: int64(i + 1), File: "f" + strconv.Itoa(i+1),
		Name: fmt.Sprintf("photos/夜 %d.jpg", i+1), Bytes: f.sizes(i), CRC32: f.crc(i), Modified: 1.8e9}
}

// fill writes the bytes of a photo from a place on.
func fill(p []byte, photo, at int64) {
	for i := range p {
		k := at + int64(i)
		p[i] = byte(photo*31 + k*7 + k>>9)
	}
}

func (f *takeouts) answer(m *nats.Msg, buf []byte) ([]byte, error) {
	nr, _ := strconv.ParseInt(m.Header.Get(wire.HeaderOffset), 10, 64) // of a head there is none
	if strings.HasPrefix(m.Subject, "original.") {
		verb, user, photo, err := wire.ParseOriginal(m.Subject)
		if err != nil || user != 7 || verb != wire.OriginalChunk ||
			m.Header.Get(wire.HeaderFile) != fmt.Sprint("f", photo) {
			return nil, errors.Join(err, wire.ErrNotFound)
		}
		f.chunks.Add(1)
		chunk := buf[:min(wire.MaxChunk, f.sizes(int(photo-1))-nr)]
		fill(chunk, photo, nr)
		return chunk, nil
	}
	verb, user, id, err := wire.ParseTakeout(m.Subject)
	if err != nil || user != 7 || id != takeoutID {
		return nil, errors.Join(err, wire.ErrNotFound)
	}
	switch verb {
	case wire.TakeoutHead:
		return f.file.Encode()
	case wire.TakeoutJSON:
		return f.json[nr*wire.MaxChunk : min(int64(len(f.json)), (nr+1)*wire.MaxChunk)], nil
	}
	var plan wire.PlannedFiles
	for i := nr * wire.PlanPart; i < (nr+1)*wire.PlanPart && i <= int64(f.photos); i++ {
		plan.Files = append(plan.Files, f.planned(int(i)))
	}
	return plan.Encode()
}

func (f *takeouts) serve(t testing.TB, url string) {
	t.Helper()
	nc := testenv.ConnectAs(t, url, wire.RoleRenderer)
	for _, subject := range append(wire.TakeoutRequests(), wire.OriginalRequests()...) {
		buf := make([]byte, wire.MaxChunk) // one request at a time
		if _, err := nc.QueueSubscribe(subject, wire.QueueRenderer, func(m *nats.Msg) {
			data, err := f.answer(m, buf)
			reply := &nats.Msg{Subject: m.Reply, Data: data}
			if err != nil {
				reply = wire.ErrorMsg(m.Reply, err)
			}
			_ = nc.PublishMsg(reply) // the edge asks again
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestTakeouts: a zip file of more than a part of its plan is read by others, and each range of it is a slice of the
// whole.
func TestTakeouts(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	const photos = 1203
	sizes := func(i int) int64 {
		if i%400 == 7 {
			return wire.MaxChunk + int64(i)
		}
		return int64(i % 97)
	}
	sums := make([]uint32, photos)
	for i := range sums {
		data := make([]byte, sizes(i))
		fill(data, int64(i+1), 0)
		sums[i] = crc32.ChecksumIEEE(data)
	}
	content, err := json.Marshal(strings.Repeat("photos ", wire.MaxChunk/5))
	if err != nil {
		t.Fatal(err)
	}
	store := newTakeouts(photos, sizes, func(i int) uint32 { return sums[i] }, content)
	store.serve(t, s.server.URL())
	e, path := s.edges[0], "/me/takeout/"+takeoutID+".zip"

	whole := s.request(e, http.MethodGet, path, nil)
	if whole.status != http.StatusOK || int64(len(whole.body)) != store.file.Bytes ||
		whole.header.Get("Content-Type") != "application/zip" || whole.header.Get("Etag") != `"`+takeoutID+`"` ||
		!strings.Contains(whole.header.Get("Content-Disposition"), `filename="ansel 2026-11-30.zip"`) {
		t.Fatalf("%d, %d bytes, %v", whole.status, len(whole.body), whole.header)
	}
	r, err := zip.NewReader(strings.NewReader(whole.body), int64(len(whole.body)))
	if err != nil || len(r.File) != photos+1 {
		t.Fatalf("%d files, %v", len(r.File), err)
	}
	for _, f := range r.File {
		data, err := f.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, data) // compares the checksum
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	end := len(whole.body)
	ranges := [][2]int{{0, 1}, {end - 1, end}, {int(store.file.End.Local) - 1, int(store.file.End.Local) + 1},
		{int(store.file.End.Local+store.file.End.Directory) - 1, end},
		{int(store.file.Parts[1].Local) - 3, int(store.file.Parts[1].Local) + 50}}
	for range 60 {
		from := rand.IntN(end)
		ranges = append(ranges, [2]int{from, from + 1 + rand.IntN(min(end-from, 3000))})
	}
	for _, c := range ranges {
		got := s.request(s.edges[rand.IntN(2)], http.MethodGet, path, nil, "Range", fmt.Sprintf("bytes=%d-%d", c[0],
			c[1]-1), "If-Range", `"`+takeoutID+`"`)
		if got.status != http.StatusPartialContent || got.body != whole.body[c[0]:c[1]] {
			t.Fatalf("bytes %d to %d: %d, %d bytes", c[0], c[1], got.status, len(got.body))
		}
	}
	for path, want := range map[string]int{"/me/takeout/zzzzzzzzzzzzzzzzzzzzzzzzzz.zip": 404, "/me/takeout/x.zip": 404,
		"/me/takeout/" + takeoutID: 404} {
		if got := s.request(e, http.MethodGet, path, nil); got.status != want {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := s.request(e, http.MethodGet, path, nil, "Cookie", s.signInAs(8, "dorothea")); got.status != 404 {
		t.Errorf("somebody else: %d", got.status)
	}
}

// TestTakeoutEndsWithSession: a session that is ended gets nothing more of a zip file, neither of the plan nor of
// photos.json.
func TestTakeoutEndsWithSession(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{"photos.json": make([]byte, 40*wire.MaxChunk), "plan": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newUploadSite(t)
			photos := 0
			if content == nil {
				photos = 400 * wire.PlanPart // empty ones
			}
			store := newTakeouts(photos, func(int) int64 { return 0 }, func(int) uint32 { return 0 }, content)
			store.serve(t, s.server.URL())
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.edges[0].Addr()+
				"/me/takeout/"+takeoutID+".zip", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Cookie", s.cookie)
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			resp, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			if err := s.edges[0].sessions.EndAll(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, resp.Body); err == nil || n+10 >= store.file.Bytes {
				t.Errorf("%d bytes came afterwards, %v", n, err)
			}
		})
	}
}

// rangesOf reads a file by ranges, of which the last one is kept.
type rangesOf struct {
	s    *uploadSite
	path string
	from int64 // where tail begins
	tail string
}

func (r rangesOf) ReadAt(p []byte, at int64) (int, error) {
	if at >= r.from {
		return strings.NewReader(r.tail).ReadAt(p, at-r.from)
	}
	got := r.s.request(r.s.edges[0], http.MethodGet, r.path, nil, "Range", fmt.Sprintf("bytes=%d-%d", at,
		at+int64(len(p))-1))
	n := copy(p, got.body)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestTakeoutOf50GB: of a zip file of 100,000 photos and 50 GB an edge answers each range at once.
func TestTakeoutOf50GB(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	const photos, size = 100_000, 500_123
	data := make([]byte, size)
	fill(data, photos, 0)
	sum := crc32.ChecksumIEEE(data)
	store := newTakeouts(photos, func(int) int64 { return size }, func(int) uint32 { return sum }, []byte("{}"))
	store.serve(t, s.server.URL())
	path := "/me/takeout/" + takeoutID + ".zip"
	head := s.request(s.edges[0], http.MethodHead, path, nil)
	if head.header.Get("Content-Length") != itoa(store.file.Bytes) || store.file.Bytes < 50e9 {
		t.Fatalf("%v, want %d bytes", head.header, store.file.Bytes)
	}
	if n := store.chunks.Load(); n != 0 {
		t.Errorf("HEAD had %d chunks read", n)
	}
	last := store.file.Parts[len(store.file.Parts)-1]
	from := store.file.End.Local
	tail := rangesOf{s, path, from, s.request(s.edges[1], http.MethodGet, path, nil, "Range", fmt.Sprintf("bytes=%d-",
		from)).body}
	r, err := zip.NewReader(io.NewSectionReader(tail, 0, store.file.Bytes), store.file.Bytes)
	if err != nil || len(r.File) != photos+1 {
		t.Fatalf("%d files, %v", len(r.File), err)
	}
	if at, err := r.File[photos-1].DataOffset(); err != nil || at < last.Local-size-100 {
		t.Errorf("the last photo is at %d, %v", at, err)
	}
	f, err := r.File[photos-1].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the last photo has %d bytes, %v", len(got), err)
	}
}

// BenchmarkTakeout sends the first gigabytes of a zip file of 50 GB, and reports how fast, and how many MiB more are
// reachable meanwhile, in the edge, the bus, the model of renderers and the client, which are all in this process, and
// how many more with what the collector has not freed yet. KILLR_TAKEOUT_GB says how many gigabytes.
func BenchmarkTakeout(b *testing.B) {
	const photos, size = 100_000, 500_123
	gigabytes, err := strconv.Atoi(os.Getenv("KILLR_TAKEOUT_GB"))
	if err != nil {
		gigabytes = 2
	}
	s := newSite(b)
	s.renderer()
	store := newTakeouts(photos, func(int) int64 { return size }, func(int) uint32 { return 0 }, []byte("{}"))
	store.serve(b, s.server.URL())
	e := s.edge()
	us := &uploadSite{site: s, edges: []*Server{e}}
	us.cookie = us.signInAs(7, "ansel")
	var before, now runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+e.Addr()+"/me/takeout/"+takeoutID+
			".zip", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Cookie", us.cookie)
		r.Header.Set("Range", fmt.Sprintf("bytes=0-%d", gigabytes*1_000_000_000-1))
		transport := &http.Transport{}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		buf, read, most, live := make([]byte, 256<<10), 0, uint64(0), uint64(0)
		for next := 0; err == nil; {
			var n int
			n, err = resp.Body.Read(buf)
			if read += n; read >= next {
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse-min(now.HeapInuse, before.HeapInuse))
				runtime.GC()
				runtime.ReadMemStats(&now)
				live = max(live, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
				next = read + 100_000_000
			}
		}
		if !errors.Is(err, io.EOF) || read != gigabytes*1_000_000_000 {
			b.Fatalf("%d bytes, %v", read, err)
		}
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
		b.SetBytes(int64(read))
		b.ReportMetric(float64(live)/(1<<20), "MiB-live")
		b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
	}
}
