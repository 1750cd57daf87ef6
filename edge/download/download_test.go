package download_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"flickrkillr/edge/download"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chunk = 100

// chunked is data in pieces: chunks of 100 bytes that are fetched, each behind 7 bytes that are not.
func chunked(data []byte, fetch func(ctx context.Context, at int) ([]byte, error)) download.File {
	return download.File{Size: int64(len(data)), From: func(_ context.Context, offset, _ int64,
	) iter.Seq2[download.Piece, error] {
		return func(yield func(download.Piece, error) bool) {
			for at := int(offset); at < len(data); {
				start := at / (chunk + 7) * (chunk + 7)
				end := min(start+7, len(data))
				piece := download.Piece{Bytes: data[at:max(at, end)]}
				if at >= end {
					end = min(start+7+chunk, len(data))
					from := at
					piece = download.Piece{Size: end - from, Fetch: func(ctx context.Context) ([]byte, func(), error) {
						got, err := fetch(ctx, from)
						return got[:min(len(got), end-from)], nil, err
					}}
				}
				if !yield(piece, nil) {
					return
				}
				at = end
			}
		}
	}}
}

func bytesOf(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	return data
}

// TestReader: a file is the same from every place on, however it is read.
func TestReader(t *testing.T) {
	t.Parallel()
	data := bytesOf(5000)
	file := chunked(data, func(_ context.Context, at int) ([]byte, error) { return data[at:], nil })
	r := file.Open(t.Context())
	defer r.Close()
	if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, data) {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
	for range 300 {
		from := rand.IntN(len(data) + 1)
		n := rand.IntN(len(data) - from + 1)
		if at, err := r.Seek(int64(from-len(data)), io.SeekEnd); at != int64(from) || err != nil {
			t.Fatal(at, err)
		}
		part := make([]byte, n)
		if _, err := io.ReadFull(r, part); err != nil || !bytes.Equal(part, data[from:from+n]) {
			t.Fatalf("%d bytes from %d: %v", n, from, err)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("a place before the beginning")
	}
}

// TestReaderHoldsTwoChunks: a reader who is slow has two chunks fetched, and no more; one who leaves none.
func TestReaderHoldsTwoChunks(t *testing.T) {
	t.Parallel()
	data := bytesOf(100 * (chunk + 7))
	var begun atomic.Int64
	asked := make(chan int)
	file := chunked(data, func(ctx context.Context, at int) ([]byte, error) {
		begun.Add(1)
		select {
		case asked <- at:
			return data[at:], nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := file.Open(ctx)
	buf := make([]byte, 7)
	if _, err := io.ReadFull(r, buf); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-asked
	}
	for read := range 20 { // each chunk that is read lets one more be fetched
		if _, err := io.ReadFull(r, make([]byte, chunk+7)); err != nil {
			t.Fatal(err)
		}
		<-asked
		if n := begun.Load(); n != int64(read+3) {
			t.Fatalf("%d chunks were asked for when %d were read", n, read+1)
		}
	}
	if _, err := io.ReadFull(r, make([]byte, chunk+7)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	if err := r.Close(); err != nil { // goleak says whether anything is left
		t.Error(err)
	}
}

// TestReaderFails: what cannot be fetched, or is of another length, ends the file there, and nothing else does.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	data := bytesOf(1000)
	gone := errors.New("gone")
	for name, fetch := range map[string]func(context.Context, int) ([]byte, error){
		"gone": func(_ context.Context, at int) ([]byte, error) {
			if at > 500 {
				return nil, fmt.Errorf("at %d: %w", at, gone)
			}
			return data[at:], nil
		},
		"short": func(_ context.Context, at int) ([]byte, error) {
			if at > 500 {
				return data[:3], nil
			}
			return data[at:], nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := chunked(data, fetch).Open(t.Context())
			defer r.Close()
			got, err := io.ReadAll(r)
			if err == nil || r.Err() == nil || (name == "gone") != errors.Is(err, gone) || len(got) == 0 ||
				!bytes.HasPrefix(data, got) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	short := download.File{Size: 10, From: func(context.Context, int64, int64) iter.Seq2[download.Piece, error] {
		return func(yield func(download.Piece, error) bool) { yield(download.Piece{Bytes: make([]byte, 9)}, nil) }
	}}
	r := short.Open(t.Context())
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil || len(got) != 9 {
		t.Errorf("pieces that are too few: %d bytes, %v", len(got), err)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := download.NewSlots(4, 2, time.Minute, func() time.Time { return now })
	take := func(visitor string) (context.Context, func(), bool) { return s.Take(t.Context(), visitor) }
	_, first, ok := take("a")
	oldest, _, ok2 := take("a")
	if !ok || !ok2 {
		t.Fatal("two of one visitor are refused")
	}
	if _, _, ok := take("a"); ok {
		t.Error("a visitor has three")
	}
	first()
	first()
	if _, _, ok := take("a"); !ok {
		t.Error("one that ended still counts")
	}
	if _, _, ok := take("a"); ok {
		t.Error("one that ended counts twice")
	}
	for range 2 {
		if _, _, ok := take(""); !ok {
			t.Error("others are refused")
		}
	}
	if _, _, ok := take("b"); ok {
		t.Error("there are five at once")
	}
	now = now.Add(time.Minute)
	next, release, ok := take("b")
	if !ok || !errors.Is(context.Cause(oldest), download.ErrTurn) || next.Err() != nil {
		t.Errorf("after a turn: %v, the oldest: %v", ok, context.Cause(oldest))
	}
	if release(); !errors.Is(next.Err(), context.Canceled) {
		t.Error("the context of a download outlives it")
	}
	if _, _, ok := take("a"); !ok {
		t.Error("one whose place was taken still counts")
	}
}

// TestReaderLimit: a reader that wants a few bytes has what holds them fetched, and nothing behind.
func TestReaderLimit(t *testing.T) {
	t.Parallel()
	data := bytesOf(100 * (chunk + 7))
	var begun, asked atomic.Int64
	file := chunked(data, func(_ context.Context, at int) ([]byte, error) {
		begun.Add(1)
		return data[at:], nil
	})
	from := file.From
	file.From = func(ctx context.Context, offset, end int64) iter.Seq2[download.Piece, error] {
		asked.Store(end - offset)
		return from(ctx, offset, end)
	}
	r := file.Open(t.Context())
	for _, c := range []struct{ from, n, chunks int }{{50, 1, 1}, {50, chunk, 2}, {0, 7, 0}, {len(data) - 3, 10, 1}} {
		begun.Store(0)
		if _, err := r.Seek(int64(c.from), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		r.Limit(int64(c.n))
		want := data[c.from:min(len(data), c.from+c.n)]
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes, %v", c, len(got), err)
		}
		_ = r.Close() // waits for what is fetched; it has no error
		if n := begun.Load(); n != int64(c.chunks) || asked.Load() != int64(len(want)) {
			t.Errorf("%+v: %d chunks were fetched for %d bytes", c, n, asked.Load())
		}
	}
}
