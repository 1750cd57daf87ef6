package edge

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/edge/upload"
	"flickrkillr/schema/wire"
)

// TestUploadsShareBuffers: 200 uploads at once, of 8 people, while renderers store nothing: no upload has more than 4
// chunks under way, all together no more than 32, and each gets through when renderers go on.
func TestUploadsShareBuffers(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	const people, each = 8, 25
	large, small := make([]byte, 6*wire.MaxChunk), make([]byte, wire.MaxChunk)
	release := make(chan struct{})
	var mu sync.Mutex
	under, most, all, allMost := map[string]int{}, 0, 0, 0
	s.store.Before(func(verb string, m *nats.Msg) error {
		if verb != wire.UploadChunk {
			return nil
		}
		mu.Lock()
		under[m.Subject+m.Header.Get(wire.HeaderOffset)]++
		all++
		perUpload := map[string]int{}
		for subject, n := range under {
			if n > 0 {
				perUpload[subject[:strings.LastIndexByte(subject, '.')+27]]++
			}
		}
		for _, n := range perUpload {
			most = max(most, n)
		}
		allMost = max(allMost, len(under))
		mu.Unlock()
		<-release
		mu.Lock()
		delete(under, m.Subject+m.Header.Get(wire.HeaderOffset))
		mu.Unlock()
		return nil
	})
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	var senders sync.WaitGroup
	var done atomic.Int64
	for i := range people {
		cookie := s.signInAs(int64(100+i), "person"+strconv.Itoa(i))
		for n := range each {
			file := small
			if n == 0 {
				file = large
			}
			senders.Go(func() {
				got, err := s.try(s.edges[0], http.MethodPost, "/upload/files", bytes.NewReader(file), "Cookie", cookie,
					"Upload-Length", strconv.Itoa(len(file)), "Content-Type", "application/offset+octet-stream")
				if err != nil || got.status != http.StatusCreated || got.header.Get("Killr-Photo") == "" {
					t.Errorf("status %d %s, %v", got.status, got.body, err)
					return
				}
				done.Add(1)
			})
		}
	}
	eventually(t, "32 chunks are under way", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(under) == 32
	})
	runtime.ReadMemStats(&during)
	close(release)
	senders.Wait()
	if done.Load() != people*each || most > 4 || allMost > 32 {
		t.Errorf("%d of %d uploads got through; at most %d chunks of one were under way, and %d in all", done.Load(),
			people*each, most, allMost)
	}
	t.Logf("%d requests for %d chunks; the heap grew by %d MiB", all, people*(each+5),
		(int64(during.HeapAlloc)-int64(before.HeapAlloc))>>20)
}

// TestUploadsOfOnePerson: one person has at most 32 uploads under way at an edge.
func TestUploadsOfOnePerson(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t)
	path := s.begin(wire.MaxChunk)
	var open []*io.PipeWriter
	var senders sync.WaitGroup
	for range 32 {
		r, w := io.Pipe()
		open = append(open, w)
		senders.Go(func() {
			_, _ = s.try(s.edges[0], http.MethodPatch, path, r, "Upload-Offset", "0") // it is cut below
		})
	}
	eventually(t, "all have asked how far the upload is", func() bool { return s.store.Asked(wire.UploadState) == 32 })
	got := s.patch(s.edges[0], path, 0, []byte("x"))
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("one more: status %d, %v", got.status, got.header)
	}
	for _, w := range open {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}
	senders.Wait()
	file := fileOf(wire.MaxChunk)
	eventually(t, "there is room again", func() bool {
		got, err := s.try(s.edges[0], http.MethodPatch, path, bytes.NewReader(file), "Upload-Offset", "0")
		return err == nil && got.status == http.StatusNoContent
	})
}

// TestSlowSender: a body that keeps the pace is taken however long it takes; one that does not is cut, and what has
// arrived of it is kept.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	const piece = 64 << 10
	const size = 20*piece + 200<<10 // of what is missing net/http waits for the rest, before it answers
	var stored atomic.Int64
	files := upload.New(upload.Config{Visitors: upload.NewVisitors(),
		Ask: func(_ context.Context, m *nats.Msg, _, _ time.Duration) (*nats.Msg, error) {
			reply := nats.NewMsg("x")
			switch verb, _, _, _ := wire.ParseUpload(m.Subject); verb {
			case wire.UploadState:
				reply.Data, _ = wire.UploadStatus{Bytes: size, Offset: stored.Load()}.Encode() // it never fails
			case wire.UploadChunk:
				stored.Add(int64(len(m.Data)))
			}
			return reply, nil
		},
		Received: prometheus.NewCounter(prometheus.CounterOpts{}),
	})
	answer := func(w http.ResponseWriter, r *http.Request) {
		got, err := files.Tus(w.Header(), upload.Request{Request: r, User: 7,
			Deadline: http.NewResponseController(w).SetReadDeadline})
		answerSoon(w)
		if err != nil {
			got.Status = upload.RefusalOf(err).Status
		}
		w.WriteHeader(got.Status)
	}
	path := "/upload/files/" + strings.Repeat("a", 26)
	onPipes(t, answer, func(_ *Server, p *pipes) {
		begun := time.Now()
		slow := p.dial(t)
		slow.send("PATCH " + path + " HTTP/1.1\r\nHost: killr\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n" +
			"Content-Type: application/offset+octet-stream\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n")
		for range 20 {
			time.Sleep(8 * time.Second) // in fake time
			slow.send(strings.Repeat("x", piece))
		}
		if got := slow.receive(http.MethodPatch); got.status != http.StatusRequestTimeout {
			t.Errorf("status %d", got.status)
		}
		if took := time.Since(begun); took < 160*time.Second || took > 173*time.Second {
			t.Errorf("it was cut after %v, want 12 s after the last byte", took)
		}
		if stored.Load() != 2*wire.MaxChunk {
			t.Errorf("%d bytes are stored", stored.Load())
		}
		head := p.dial(t)
		head.send("HEAD " + path + " HTTP/1.1\r\nHost: killr\r\nTus-Resumable: 1.0.0\r\n\r\n")
		if got := head.receive(http.MethodHead); got.header.Get("Upload-Offset") != strconv.Itoa(20*piece) {
			t.Errorf("the offset is %s, want %d", got.header.Get("Upload-Offset"), 20*piece)
		}
	})
}

// TestSessionEndsDuringUpload: a body that began in time, and ends after its session, makes no photo.
func TestSessionEndsDuringUpload(t *testing.T) {
	t.Parallel()
	var asked []string
	files := upload.New(upload.Config{Visitors: upload.NewVisitors(),
		Ask: func(_ context.Context, m *nats.Msg, _, _ time.Duration) (*nats.Msg, error) {
			verb, _, _, _ := wire.ParseUpload(m.Subject)
			asked = append(asked, verb)
			reply := nats.NewMsg("x")
			if verb == wire.UploadState {
				reply.Data, _ = wire.UploadStatus{Bytes: 3}.Encode() // it never fails
			}
			return reply, nil
		},
		Received: prometheus.NewCounter(prometheus.CounterOpts{}),
	})
	r := httptest.NewRequest(http.MethodPatch, "/upload/files/"+strings.Repeat("a", 26), strings.NewReader("abc"))
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Upload-Offset", "0")
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	_, err := files.Tus(http.Header{}, upload.Request{Request: r, User: 7, Allowed: func() bool { return false },
		Deadline: func(time.Time) error { return nil }})
	want := []string{wire.UploadState, wire.UploadChunk}
	if status := upload.RefusalOf(err).Status; status != http.StatusUnauthorized || !slices.Equal(asked, want) {
		t.Errorf("status %d after %v, want 401 after %v", status, asked, want)
	}
}
