package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	roles "flickrkillr/ops/site"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// killer kills processes of each role in turn, as a crash does.
type killer struct {
	site *site

	mu    sync.Mutex
	kills int
	next  chan struct{} // closed at the next kill
}

func newKiller(s *site) *killer { return &killer{site: s, next: make(chan struct{})} }

// run kills until ctx ends: one process each every, or each once the one before is ready again if that is 0.
func (k *killer) run(ctx context.Context, every time.Duration) error {
	for n := 0; ; n++ {
		pause := time.After(every)
		role := []roles.Role{roles.Edge, roles.Renderer, roles.Cachefill}[n%3]
		if err := k.site.roles.Kill(context.WithoutCancel(ctx), role); err != nil {
			return fmt.Errorf("kill %d: %w", n, err)
		}
		k.mu.Lock()
		k.kills++
		close(k.next)
		k.next = make(chan struct{})
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-pause:
		}
	}
}

// wait returns when another process has been killed.
func (k *killer) wait(ctx context.Context) {
	k.mu.Lock()
	next := k.next
	k.mu.Unlock()
	select {
	case <-next:
	case <-ctx.Done():
	}
}

// aftermath is what uploads have left.
type aftermath struct {
	lost    []string // acknowledged, and not there as they were sent
	twice   int      // photos beyond one a file
	orphans []string // files and rows that belong to nothing
	small   int      // files without derivatives
}

// inspect compares a person's photos, and the picture store, with what was acknowledged.
func (s *site) inspect(user int64, files []*sentFile) (a aftermath) {
	s.t.Helper()
	store, err := pictures.OpenDir(s.pictures)
	must(s.t, err)
	defer store.Close()
	ctx := s.t.Context()
	for _, f := range files {
		var image string
		number, err := strconv.ParseInt(strings.TrimPrefix(f.photo, "/photo/"), 10, 64)
		if err == nil {
			err = s.pool.QueryRow(ctx, "SELECT image_id FROM photos WHERE id = $1 AND user_id = $2", number, user).
				Scan(&image)
		}
		if err == nil {
			err = sameFile(filepath.Join(s.pictures, image[:2], image), f.sum)
		}
		if err != nil {
			a.lost = append(a.lost, fmt.Sprintf("%s, photo %q: %v", f.name, f.photo, err))
		}
	}
	a.twice = column[int](s, "SELECT count(*) FROM photos WHERE user_id = $1", user)[0] - len(files) + len(a.lost)
	for what, query := range map[string]string{
		"open uploads": "SELECT count(*) FROM uploads WHERE ended_at IS NULL",
		"images without a photo": "SELECT count(*) FROM images i " +
			"WHERE NOT EXISTS (SELECT FROM photos p WHERE p.image_id = i.id)",
		"photos without an image": "SELECT count(*) FROM photos p " +
			"WHERE NOT EXISTS (SELECT FROM images i WHERE i.id = p.image_id)",
		"files to be removed": "SELECT count(*) FROM unused_images WHERE NOT again",
	} {
		if n := column[int](s, query)[0]; n != 0 {
			a.orphans = append(a.orphans, fmt.Sprintf("%d %s", n, what))
		}
	}
	staged, err := store.Staged(ctx)
	must(s.t, err)
	for _, u := range staged {
		a.orphans = append(a.orphans, fmt.Sprintf("staged: %v", u))
	}
	known := map[string]bool{}
	for _, id := range column[string](s, "SELECT id FROM images") {
		known[id] = true
		name := pictures.DerivativeName(id, page.Widths()[0])
		if _, err := os.Stat(filepath.Join(s.pictures, id[:2], name)); err != nil {
			a.small++
		}
	}
	must(s.t, filepath.WalkDir(s.pictures, func(path string, d fs.DirEntry, err error) error {
		id, _, _ := strings.Cut(d.Name(), ".")
		if folder := filepath.Base(filepath.Dir(path)); err == nil && !d.IsDir() && len(folder) == 2 && !known[id] {
			a.orphans = append(a.orphans, "file "+path)
		}
		if errors.Is(err, fs.ErrNotExist) { // a renderer has moved it
			return nil
		}
		return err
	}))
	return a
}

// sameFile returns an error unless a file has this SHA-256.
func sameFile(path string, sum [sha256.Size]byte) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if sha256.Sum256(data) != sum {
		return fmt.Errorf("%s has other bytes", path)
	}
	return nil
}

// settle starts all renderers again, so that one sweeps what others have left, and returns what is left then.
func (s *site) settle(user int64, files []*sentFile) (a aftermath) {
	s.t.Helper()
	for range s.pids(roles.Renderer) {
		must(s.t, s.roles.Kill(s.t.Context(), roles.Renderer))
	}
	for end := time.Now().Add(90 * time.Second); ; { // what a killed renderer was removing rests for 45 s
		if a = s.inspect(user, files); len(a.orphans) == 0 || time.Now().After(end) {
			return a
		}
		sleep.For(s.t.Context(), 200*time.Millisecond)
	}
}

// report fails the test for what was lost, is there twice, or belongs to nothing.
func (a aftermath) report(t testing.TB) {
	t.Helper()
	for what, all := range map[string][]string{"lost": a.lost, "belongs to nothing": a.orphans} {
		for _, one := range all[:min(len(all), 10)] {
			t.Errorf("%s: %s", what, one)
		}
		if len(all) > 10 {
			t.Errorf("%s: %d more", what, len(all)-10)
		}
	}
	if a.twice != 0 {
		t.Errorf("%d photos too many", a.twice)
	}
}

// killedFile is the n-th file of a test in which processes are killed, of 1 to 5 MB unless most says less.
func killedFile(small []byte, n, least, most int) *sentFile {
	random := rand.New(rand.NewPCG(uint64(n), 7))
	name := fmt.Sprintf("killed-%05d.jpg", n)
	return &sentFile{name: name, key: name, first: n,
		data: paddedPicture(small, least+random.IntN(most-least), uint64(n))}
}

// TestUploadsKilled: while processes of each role are killed, again and again, every upload becomes one photo. Each
// body waits twice for another kill, so each upload sees two at least.
func TestUploadsKilled(t *testing.T) {
	t.Parallel()
	s := newUploadSite(t, 2, 2)
	p := s.signUp("vivian")
	k := newKiller(s)
	u := newSender(t, p, s.urls)
	u.wait = k.wait
	small := newPicture(t, 100)
	var files []*sentFile
	whole := int64(0)
	for n := range 16 {
		f := killedFile(small, n, 600_000, 2_000_000)
		f.cuts = []int{rand.IntN(len(f.data)), len(f.data) - 1}
		files, whole = append(files, f), whole+int64(len(f.data))
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.run(ctx, 0) }()
	var all sync.WaitGroup
	for _, some := range [][]*sentFile{files[:6], files[6:11], files[11:]} {
		all.Go(func() {
			for _, f := range some {
				if err := u.upload(ctx, f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		f := killedFile(small, len(files), 600_000, 2_000_000)
		f.cuts = []int{len(f.data) - 1}
		if err := u.giveUp(ctx, f); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	stop()
	must(t, <-ended)
	s.settle(s.userID(p.name), files).report(t)
	t.Logf("%d kills, %d requests cut, %.1f%% of %d bytes sent again", k.kills, u.broken.Load(),
		100*float64(u.sent.Load()-whole)/float64(whole), whole)
	if k.kills < 10 || u.broken.Load() == 0 {
		t.Errorf("%d kills have cut %d requests: nothing was tested", k.kills, u.broken.Load())
	}
}

// BenchmarkUploadsKilled uploads photos of 1 to 5 MB for one person, six at a time, while a process of each role in
// turn is killed every 2 s, over 2 edges and 2 renderers. It reports uploads that failed, photos that were lost or are
// there twice, what is left that belongs to nothing, and the share of bytes that were sent again: bytes that
// connections have taken, whether or not an edge has read them.
//
//	go test ./ops/e2e -run '^$' -bench UploadsKilled -benchtime 1000x
func BenchmarkUploadsKilled(b *testing.B) {
	s := newUploadSite(b, 2, 2)
	p := s.signUp("vivian")
	k := newKiller(s)
	u := newSender(b, p, s.urls)
	small := newPicture(b, 100)
	files := make([]*sentFile, b.N)
	var next, whole atomic.Int64
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.run(ctx, 2*time.Second) }()
	b.ResetTimer()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				f := killedFile(small, int(n), 1_000_000, 5_000_000)
				files[n] = f
				whole.Add(int64(len(f.data)))
				if err := u.upload(ctx, f); err != nil {
					b.Error(err)
				}
				f.data = nil
			}
		})
	}
	all.Wait()
	b.StopTimer()
	stop()
	must(b, <-ended)
	a := s.settle(s.userID(p.name), files)
	a.report(b)
	again := u.sent.Load() - whole.Load()
	b.ReportMetric(float64(k.kills), "kills")
	b.ReportMetric(float64(u.broken.Load()), "cut")
	b.ReportMetric(float64(len(a.lost)), "lost")
	b.ReportMetric(float64(a.twice), "twice")
	b.ReportMetric(float64(len(a.orphans)), "orphans")
	b.ReportMetric(100*float64(again)/float64(whole.Load()), "%again")
	b.ReportMetric(float64(whole.Load())/1e6/b.Elapsed().Seconds(), "MB/s")
	b.ReportMetric(0, "ns/op")
}
