package upload

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"flickrkillr/schema/wire"
)

// TestBuffers: an upload without a buffer is served before those that want another one; a wait that ends takes none.
func TestBuffers(t *testing.T) {
	t.Parallel()
	b := newBuffers(1)
	only, err := b.take(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 2)
	// wait takes a buffer in the background and returns when the wait has begun.
	wait := func(ctx context.Context, name string, first bool, queue *[]chan []byte) {
		b.mu.Lock()
		before := len(*queue)
		b.mu.Unlock()
		go func() {
			buf, err := b.take(ctx, first)
			if err != nil {
				got <- "nothing"
				return
			}
			got <- name
			b.put(buf)
		}()
		for waiting := before; waiting == before; runtime.Gosched() {
			b.mu.Lock()
			waiting = len(*queue)
			b.mu.Unlock()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	wait(ctx, "left", true, &b.first)
	cancel()
	if name := <-got; name != "nothing" {
		t.Errorf("a wait that ended got a buffer: %s", name)
	}
	wait(t.Context(), "another", false, &b.more)
	wait(t.Context(), "a first", true, &b.first)
	b.put(only)
	if one, two := <-got, <-got; one != "a first" || two != "another" {
		t.Errorf("%s, then %s", one, two)
	}
	if n := b.taken(1); n != 0 {
		t.Errorf("%d buffers are taken", n)
	}
}

// TestTails: the end of a body is there for whoever goes on, until an upload needs its buffer; and there are few.
func TestTails(t *testing.T) {
	t.Parallel()
	b := newBuffers(maxTails + 2)
	kept := newTails(b)
	keep := func(id string) {
		buf, err := b.take(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		kept.keep(tail{upload{7, id}, wire.MaxChunk, 10, buf})
	}
	for i := range maxTails + 1 {
		keep(strings.Repeat("x", i+1))
	}
	if kept.sizeOf(upload{7, "x"}, wire.MaxChunk) != 0 || len(kept.all) != maxTails {
		t.Errorf("%d tails", len(kept.all))
	}
	second := upload{7, "xx"}
	if kept.sizeOf(second, wire.MaxChunk) != 10 || kept.sizeOf(second, 0) != 0 ||
		kept.sizeOf(upload{8, "xx"}, wire.MaxChunk) != 0 {
		t.Error("the second tail is not there, or is somebody else's")
	}
	for range 3 { // two are free
		if _, err := b.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if kept.sizeOf(second, wire.MaxChunk) != 0 || len(kept.all) != maxTails-1 {
		t.Errorf("an upload waits for the buffer of a tail; %d tails", len(kept.all))
	}
	if n := b.taken(maxTails + 2); n != maxTails+2 {
		t.Errorf("%d buffers are taken", n)
	}
}

func TestCleanName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"lake.jpg": "lake.jpg", "../../etc/passwd": "passwd", `C:\fotos\lake.jpg`: "lake.jpg",
		"a\r\nX: y.jpg": "aX: y.jpg",
		"a\x00.jpg":     "a.jpg", "gpj\u202e.exe": "gpj.exe", " 海.jpg ": "海.jpg", "\xff.jpg": ".jpg", "": "", "/": "",
		strings.Repeat("海", 1400): strings.Repeat("海", 85),
	} {
		if got := cleanName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

// TestFileOf: what is told of a file is read, or refused.
func TestFileOf(t *testing.T) {
	t.Parallel()
	file, err := fileOf("filename bGFrZS5qcGc=, private MQ==,album VHJpcHMgLyBTZWE=")
	if want := (wire.UploadFile{Name: "lake.jpg", Private: true, Album: "Trips / Sea"}); err != nil || file != want {
		t.Errorf("%+v, %v", file, err)
	}
	for field, want := range map[string]wire.UploadFile{
		"visibility cHVibGlj":              {},
		"visibility cHJpdmF0ZQ==":          {Private: true},
		"visibility dW5saXN0ZWQ=":          {Private: true, Unlisted: true},
		"visibility cHVibGlj,private MQ==": {Private: true},
		"private MQ==,visibility cHVibGlj": {Private: true},
	} {
		if file, err := fileOf(field); err != nil || file != want {
			t.Errorf("%s: %+v, %v", field, file, err)
		}
	}
	for _, field := range []string{
		"visibility", "visibility eA==", "album /w==", "album VHJpcHM=,album VHJpcHM=", "album x",
	} {
		if file, err := fileOf(field); err == nil {
			t.Errorf("%s: %+v", field, file)
		}
	}
	if file, err := fileOf("album"); err != nil || file.Album != "" {
		t.Errorf("no album: %+v, %v", file, err)
	}
}

// TestStreamDropsTheLeast: a stream that nobody reads keeps a bounded number of events, those that matter.
func TestStreamDropsTheLeast(t *testing.T) {
	t.Parallel()
	s := &Stream{wake: make(chan struct{}, 1)}
	s.put(Event{"first", wire.UploadEvent{Stage: wire.UploadLive}})
	for range 2 * eventsKept {
		s.put(Event{"many", wire.UploadEvent{Stage: wire.UploadReceived}})
	}
	s.put(Event{"last", wire.UploadEvent{Stage: wire.UploadRefused}})
	<-s.Wake()
	events, more := s.Take()
	if !more || len(events) != eventsKept || events[0].ID != "first" || events[len(events)-1].ID != "last" {
		t.Errorf("%d events from %q to %q, %t", len(events), events[0].ID, events[len(events)-1].ID, more)
	}
	for range eventsKept + 1 {
		s.put(Event{"end", wire.UploadEvent{Stage: wire.UploadLive}})
	}
	if events, _ := s.Take(); len(events) != eventsKept {
		t.Errorf("%d events", len(events))
	}
}
