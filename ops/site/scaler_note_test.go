package site

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestFullProcessorsAreSaid once, while they are full, and again after a while in which they were not.
func TestFullProcessorsAreSaid(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := &scaler{site: New(Config{}), log: slog.New(slog.NewTextHandler(&log, nil)),
		decision: scaling{least: 2, most: 4}}
	now := time.Unix(1_800_000_000, 0)
	run := func(lasts time.Duration, used float64) (said int, note string) {
		t.Helper()
		log.Reset()
		for end := now.Add(lasts); now.Before(end); now = now.Add(sampleEvery) {
			c.used = used
			c.noteProcessors(now)
			c.note()
		}
		return strings.Count(log.String(), "processors are full"), c.site.scalingNote()
	}
	const calm = "Between 2 and 4 run, as the load asks."
	const full = calm + " The processors are full: more would not help."
	for i, p := range []struct {
		lasts time.Duration
		used  float64
		said  int
		note  string
	}{
		{time.Second, .5, 0, calm}, {time.Second, 1, 0, calm}, {time.Second, .5, 0, calm},
		{10 * time.Minute, 1, 1, full}, {time.Second, .5, 0, calm}, {10 * time.Second, 1, 0, full},
		{2 * time.Minute, .5, 0, calm}, {10 * time.Second, 1, 1, full},
	} {
		if said, note := run(p.lasts, p.used); said != p.said || note != p.note {
			t.Errorf("phase %d: said %d times, want %d; the note is %q", i, said, p.said, note)
		}
	}
	c.refusal, c.waited = "there is no room", now
	c.note()
	if note := c.site.scalingNote(); !strings.HasSuffix(note, "no more could start: there is no room.") {
		t.Errorf("a refusal: %q", note)
	}
}
