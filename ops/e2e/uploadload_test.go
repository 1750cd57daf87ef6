package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"flickrkillr/ops/lab/cputime"
	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
)

// BenchmarkUploadThroughput uploads files of 5 MB from the disk, six at a time, and writes and syncs the same bytes
// there one file after the other, as `dd conv=fsync` does, before and afterwards. It does so with files that cost
// little to decode, and with photos of 12 megapixels. It also reports the processor time that a GB takes each role, the
// processes that decode, and this one, which is the sender and has NATS in it.
//
//	go test ./ops/e2e -run '^$' -bench UploadThroughput -benchtime 200x
func BenchmarkUploadThroughput(b *testing.B) {
	small, photo := newPicture(b, 100), testenv.LargePhoto(b)
	b.Run("padded", func(b *testing.B) {
		measureThroughput(b, func(n int) []byte { return paddedPicture(small, 5_000_000, uint64(n)) })
	})
	b.Run("12-megapixels", func(b *testing.B) {
		measureThroughput(b, func(n int) []byte { return append(slices.Clone(photo), fmt.Sprint(n)...) })
	})
}

func measureThroughput(b *testing.B, file func(n int) []byte) {
	s := newUploadSite(b, 2, 2)
	u := newSender(b, s.signUp("vivian"), s.urls)
	files := make([]*sentFile, b.N)
	whole, folder := 0, b.TempDir()
	for n := range files {
		name := fmt.Sprintf("through-%05d.jpg", n)
		data := file(n)
		files[n] = &sentFile{name: name, key: name, file: filepath.Join(folder, name), size: len(data), first: n}
		must(b, os.WriteFile(files[n].file, data, 0o600))
		whole += len(data)
	}
	syscall.Sync() // or the disk would be busy with these
	writing := writeAndSync(b, s.pictures, files)
	before := s.processorTime(b)
	uploading := u.uploadAll(b, 6, files)
	after := s.processorTime(b)
	for what, used := range after {
		b.ReportMetric((used-before[what]).Seconds()*1e9/float64(whole), what+"-s/GB")
	}
	writing = (writing + writeAndSync(b, s.pictures, files)) / 2
	b.ReportMetric(float64(whole)/1e6/uploading.Seconds(), "upload-MB/s")
	b.ReportMetric(float64(whole)/1e6/writing.Seconds(), "write-MB/s")
	b.ReportMetric(writing.Seconds()/uploading.Seconds(), "upload/write")
	b.ReportMetric(0, "ns/op")
}

// processorTime is the processor time that has been used so far, by what has used it.
func (s *site) processorTime(b *testing.B) map[string]time.Duration {
	b.Helper()
	self, err := cputime.Self()
	must(b, err)
	all := map[string]time.Duration{"sender+NATS": self}
	for _, role := range []roles.Role{roles.Edge, roles.Renderer} {
		for _, pid := range s.pids(role) {
			tree, err := cputime.Tree(pid)
			must(b, err)
			for _, p := range tree {
				what := string(role)
				if p.PID != pid {
					what = "decoding"
				}
				all[what] += p.Used
			}
		}
	}
	return all
}

// uploadAll uploads files, so many at a time, and returns how long that took.
func (s *sender) uploadAll(b *testing.B, atOnce int, files []*sentFile) time.Duration {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for range atOnce {
		all.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(files)); n = next.Add(1) - 1 {
				if err := s.upload(b.Context(), files[n]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(begun)
}

// writeAndSync writes files to the disk of a folder, each synced, and returns how long that took.
func writeAndSync(b *testing.B, folder string, files []*sentFile) (took time.Duration) {
	b.Helper()
	for _, one := range files {
		data, err := os.ReadFile(one.file)
		must(b, err)
		path := filepath.Join(filepath.Dir(folder), "written")
		begun := time.Now()
		f, err := os.Create(path)
		must(b, err)
		for data := range slices.Chunk(data, 1<<20) {
			_, err = f.Write(data)
			must(b, err)
		}
		must(b, f.Sync())
		must(b, f.Close())
		took += time.Since(begun)
		must(b, os.Remove(path))
	}
	return took
}

// BenchmarkUploadMemory has b.N uploads of 2 MB under way at the same moment, at one edge and one renderer. It reports
// the most memory that each had resident, and before.
//
//	go test ./ops/e2e -run '^$' -bench UploadMemory -benchtime 1000x
func BenchmarkUploadMemory(b *testing.B) {
	const ofPerson = 30 // an edge takes 32
	s := newUploadSite(b, 1, 1)
	small := newPicture(b, 100)
	var begun, all sync.WaitGroup
	begun.Add(b.N)
	wait := func(context.Context) { begun.Done(); begun.Wait() }
	var u *sender
	before := map[roles.Role]float64{}
	var senders []*sender
	for n := 0; n < b.N; n += ofPerson {
		u = newSender(b, s.signUp(fmt.Sprintf("person_%d", n)), s.urls)
		u.wait = wait
		senders = append(senders, u)
	}
	for _, role := range []roles.Role{roles.Edge, roles.Renderer} {
		var err error
		before[role], err = residentMiB(s.pids(role)[0])
		must(b, err)
	}
	files := make([]*sentFile, b.N)
	for n := range files {
		name := fmt.Sprintf("memory-%05d.jpg", n)
		data := paddedPicture(small, 2_000_000, uint64(n))
		files[n] = &sentFile{name: name, key: name, data: data, cuts: []int{32 << 10}}
	}
	for n, f := range files {
		all.Go(func() {
			if err := senders[n/ofPerson].upload(b.Context(), f); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	whole := 0.0
	for _, role := range []roles.Role{roles.Edge, roles.Renderer} {
		most := mostResidentMiB(b, s.pids(role)[0])
		whole += most
		b.ReportMetric(most, string(role)+"-MiB")
		b.ReportMetric(before[role], string(role)+"-before-MiB")
		b.ReportMetric((most-before[role])/float64(b.N), string(role)+"-MiB/upload")
	}
	b.ReportMetric(whole, "MiB")
	b.ReportMetric(0, "ns/op")
}

// mostResidentMiB is the most memory that a process has had.
func mostResidentMiB(t testing.TB, pid int) float64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			must(t, err)
			return float64(kib) / 1024
		}
	}
	t.Fatalf("process %d does not say how much memory it has had", pid)
	return 0
}

// BenchmarkUploadPages requests pages of users, 200 a second: alone, and while a person uploads three photos of 12
// megapixels at a time, as a browser does, with a line of 5 MB a second, and as fast as the site takes them. b.N is the
// number of requests of each part.
//
//	go test ./ops/e2e -run '^$' -bench UploadPages -benchtime 4000x
func BenchmarkUploadPages(b *testing.B) {
	s := newSite(b, 2, 2)
	p := s.signUp("uploader")
	u := newSender(b, p, s.urls)
	photo := testenv.LargePhoto(b)
	s.timePages(b, 500)
	reportTimes(b, "alone", s.timePages(b, b.N))
	number := 0
	beside := func(name string, perSecond int) {
		ctx, stop := context.WithCancel(b.Context())
		var all sync.WaitGroup
		var uploaded atomic.Int64
		turns := time.NewTicker(max(1, time.Second/time.Duration(max(1, perSecond))))
		defer turns.Stop()
		for range 3 {
			number++
			name := fmt.Sprintf("%s-%d", name, number)
			all.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if perSecond > 0 {
						select {
						case <-turns.C:
						case <-ctx.Done():
							return
						}
					}
					name := fmt.Sprintf("%s-%d.jpg", name, i)
					f := &sentFile{name: name, key: name, data: append(slices.Clone(photo), name...)}
					if err := u.upload(b.Context(), f); err != nil {
						b.Error(err)
						return
					}
					uploaded.Add(1)
				}
			})
		}
		reportTimes(b, name, s.timePages(b, b.N))
		stop()
		all.Wait()
		b.ReportMetric(float64(uploaded.Load()), name+"-uploads")
	}
	beside("line", 1)
	beside("fast", 0)
	b.ReportMetric(0, "ns/op")
}

// timePages requests n pages, one each 5 ms whether or not others are answered, and returns how long each took. Every
// other one is in no cache.
func (s *site) timePages(b *testing.B, n int) (times []time.Duration) {
	b.Helper()
	client := newClient(b, 64)
	times = make([]time.Duration, n)
	turns := time.NewTicker(5 * time.Millisecond)
	defer turns.Stop()
	var all sync.WaitGroup
	for i := range n {
		<-turns.C
		all.Go(func() {
			path := page.User(s.names[i%len(s.names)]).Path()
			if i%2 == 0 {
				path += fmt.Sprintf("/before/%d", 1_000_000+time.Now().UnixNano()%1_000_000_000)
			}
			begun := time.Now()
			answer, err := client.Get(s.urls[i/2%len(s.urls)] + path)
			if err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			times[i] = time.Since(begun)
			if err != nil || answer.StatusCode != http.StatusOK {
				b.Errorf("%s: %v %v", path, answer, err)
			}
		})
	}
	all.Wait()
	return times
}
