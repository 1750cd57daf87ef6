package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/sleep"
)

// dropped is what came of files that were dropped on the page.
type dropped struct {
	said    string        // by the page, at the end
	longest time.Duration // for which the tab was busy at a time; 0: less than 50 ms
	script  time.Duration // that scripts took of the longest such time
	heapMiB float64       // most that the scripts' objects took
	tabMiB  float64       // most that was resident of the tab's process, Chromium's program included
}

// saysAll reads what the page says: how many of how many are uploaded, were refused, and failed.
var saysAll = regexp.MustCompile(`^(\d+) of (\d+) uploaded(?:, (\d+) refused)?(?:, (\d+) failed)?`)

// drop drops paths on the page for uploads, which have so many files, and returns when none is under way any more.
func drop(t testing.TB, b *tab, paths []string, files int, limit time.Duration) (d dropped) {
	t.Helper()
	dispatchDrop(b, paths)
	for end := time.Now().Add(limit); ; {
		d.heapMiB = max(d.heapMiB, ask[float64](b, `performance.memory.usedJSHeapSize / 1048576`))
		d.tabMiB = max(d.tabMiB, largestTabMiB(t))
		d.said = ask[string](b, `document.querySelector(".all p").textContent`)
		if said := saysAll.FindStringSubmatch(d.said); said != nil && said[2] == strconv.Itoa(files) {
			ended := 0
			for _, n := range []string{said[1], said[3], said[4]} { // uploaded, refused, failed
				number, _ := strconv.Atoi(n) // "" is none
				ended += number
			}
			if ended == files {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatalf("after %v the page says: %s", limit, d.said)
		}
		sleep.For(t.Context(), 100*time.Millisecond)
	}
	d.longest = time.Duration(ask[float64](b, `longest`) * float64(time.Millisecond))
	d.script = time.Duration(ask[float64](b, `script`) * float64(time.Millisecond))
	return d
}

// dispatchDrop drops paths on a page, and has its longest task noted from now on. Before it drops them it waits until
// the page has said that it takes them: a browser that has not heard so lets nothing fall.
func dispatchDrop(b *tab, paths []string) {
	b.t.Helper()
	ask[int](b, `(window.longest = window.script = window.frame = 0, new PerformanceObserver((l) => {
		for (const e of l.getEntries()) longest = Math.max(longest, e.duration) }).observe({ type: "longtask" }),
		new PerformanceObserver((l) => { for (const e of l.getEntries()) if (e.duration > frame) {
			frame = e.duration;
			script = e.scripts.reduce((sum, one) => sum + one.duration, 0);
		} }).observe({ type: "long-animation-frame" }),
		window.hovers = 0, addEventListener("dragover", () => hovers++), 0)`)
	send := func(what input.DispatchDragEventType) {
		b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			data := &input.DragData{Items: []*input.DragDataItem{}, Files: paths, DragOperationsMask: 1}
			drag := input.DispatchDragEventParams{Type: what, X: 100, Y: 100, Data: data}
			_, err := cdp.Call(ctx, tab, input.DispatchDragEvent, drag)
			return err
		}))
	}
	send("dragEnter")
	// Not each of them is told to the page: one that finds another element beneath it than the one before enters that
	// element instead. The answer to the first one that is told has come when the second one is.
	testenv.Eventually(b.t, "the page hears twice that files are held over it", func() bool {
		send("dragOver")
		return ask[int](b, `hovers`) >= 2
	})
	send("drop")
}

// longestTaskOfBrowser is the longest task of dropping paths on a page that takes a drop and does nothing else.
func longestTaskOfBrowser(b *tab, paths []string) time.Duration {
	b.t.Helper()
	b.open("/about")
	ask[int](b, `["dragover", "drop"].forEach((name) => addEventListener(name, (event) => {
		event.preventDefault();
		window.taken = name === "drop";
	})), 0`)
	dispatchDrop(b, paths)
	b.becomes(`window.taken`)
	// The browser tells of a long task once it has time.
	return time.Duration(ask[float64](b, `new Promise((done) => requestIdleCallback(() => setTimeout(() =>
		done(longest), 500)))`) * float64(time.Millisecond))
}

// largestTabMiB is what is resident of the largest process that shows pages.
func largestTabMiB(t testing.TB) (most float64) {
	t.Helper()
	tree, err := cputime.Tree(os.Getpid())
	must(t, err)
	for _, p := range tree {
		if strings.Contains(strings.Join(p.Args, " "), "--type=renderer") {
			if size, err := residentMiB(p.PID); err == nil { // it may have ended
				most = max(most, size)
			}
		}
	}
	return most
}

// newDropSite has a tab in which somebody is about to upload so many files.
func newDropSite(t testing.TB, files, size int) (*tab, []string) {
	t.Helper()
	s := newUploadSite(t, 2, 2)
	p := s.signUp("vivian")
	people := &peopleSite{t: t, urls: s.urls, pool: s.pool, nc: s.nc, pictures: s.pictures}
	folder, small := t.TempDir(), newPicture(t, 100)
	var paths []string
	for n := range files {
		path := filepath.Join(folder, fmt.Sprintf("dropped-%05d.jpg", n))
		must(t, os.WriteFile(path, paddedPicture(small, size, uint64(n)), 0o600))
		paths = append(paths, path)
	}
	return people.signedInTab(t, browser(t), p), paths
}

// TestUploadsDropped: files that are dropped on the page are uploaded, each of them, and so are those in a folder.
func TestUploadsDropped(t *testing.T) {
	t.Parallel()
	b, paths := newDropSite(t, 30, 100_000)
	folder := filepath.Join(t.TempDir(), "folder")
	must(t, os.Mkdir(folder, 0o700))
	paths = append(paths, folder)
	writePictures(t, folder, 200, "lake.jpg", "river.jpg")
	if d := drop(t, b, paths, 32, 3*time.Minute); d.said != "32 of 32 uploaded." {
		t.Errorf("the page says: %s", d.said)
	}
	b.noProblems()
}

// BenchmarkUploadDropped drops b.N files of 5 MB on the page at once, in Chromium. It reports how many failed or were
// refused, the memory of the tab, the longest task, where 0 is one of less than 50 ms, and what scripts of 5 ms or more
// took of it. It reports the longest task of such a drop on a page that does nothing with it, too: what the browser
// itself takes.
//
//	go test ./ops/e2e -run '^$' -bench UploadDropped -benchtime 1000x
func BenchmarkUploadDropped(b *testing.B) {
	const size = 5_000_000
	tab, paths := newDropSite(b, b.N, size)
	own := longestTaskOfBrowser(tab, paths)
	tab.open("/upload")
	b.ResetTimer()
	d := drop(b, tab, paths, b.N, 4*time.Minute)
	b.StopTimer()
	uploaded := 0
	_, err := fmt.Sscanf(d.said, "%d of", &uploaded)
	must(b, err)
	b.ReportMetric(float64(b.N-uploaded), "failed")
	b.ReportMetric(d.heapMiB, "heap-MiB")
	b.ReportMetric(d.tabMiB, "tab-MiB")
	b.ReportMetric(float64(d.longest.Milliseconds()), "longest-task-ms")
	b.ReportMetric(float64(d.script.Microseconds())/1000, "script-ms")
	b.ReportMetric(float64(own.Milliseconds()), "browser-task-ms")
	b.ReportMetric(float64(b.N)*size/1e6/b.Elapsed().Seconds(), "MB/s")
	b.ReportMetric(0, "ns/op")
}
