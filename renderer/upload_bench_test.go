package renderer

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// BenchmarkUpload uploads a photo of 12 megapixels and about 5 MB, one after the other, over a real bus. It reports the
// times of its chunks, sent one by one; from finish to its reply, when the photo is on pages; and from there until the
// small derivatives are stored.
func BenchmarkUpload(b *testing.B) {
	st := newSite(b)
	st.start(b, nil)
	data := testenv.LargePhoto(b)
	events := make(chan *nats.Msg, 10_000)
	if _, err := st.nc.ChanSubscribe(wire.UploadEventsOf(1), events); err != nil {
		b.Fatal(err)
	}
	var chunks, small time.Duration
	var live []time.Duration
	for n := 0; b.Loop(); n++ {
		u := st.newSender(b, fmt.Sprintf("a%s", letters(n)), append(bytes.Clone(data), letters(n)...))
		begun := time.Now()
		u.send(b, "lake.jpg")
		sent := time.Now()
		u.finished(b)
		finished := time.Now()
		for stage := ""; stage != wire.UploadThumbnails; {
			event, err := wire.DecodeUpload[wire.UploadEvent](receive(b, events).Data)
			if err != nil {
				b.Fatal(err)
			}
			stage = event.Stage
		}
		chunks += sent.Sub(begun)
		live = append(live, finished.Sub(sent))
		small += time.Since(sent)
	}
	each := func(d time.Duration) float64 { return float64(d.Milliseconds()) / float64(b.N) }
	b.ReportMetric(each(chunks), "ms/chunks")
	slices.Sort(live)
	b.ReportMetric(float64(live[len(live)/2].Microseconds())/1000, "ms/live-p50")
	b.ReportMetric(float64(live[len(live)*99/100].Microseconds())/1000, "ms/live-p99")
	b.ReportMetric(each(small), "ms/small")
	b.ReportMetric(float64(len(data))*float64(b.N)/chunks.Seconds()/1e6, "MB/s")
	b.ReportMetric(0, "ns/op")
}

// letters writes a number in letters that an upload's id may have.
func letters(n int) string {
	text := []byte(fmt.Sprintf("%08d", n))
	for i := range text {
		text[i] += 'a' - '0'
	}
	return string(text)
}
