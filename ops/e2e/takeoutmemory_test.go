package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
)

// BenchmarkTakeoutMemory streams a zip file of b.N photos of 50 MB, which all show one original, and reports how much
// more memory the edge and the renderer have at most than while they answer pages, as the system counts it. So what the
// garbage collector lets any work take is not counted.
//
//	go test ./ops/e2e -run '^$' -bench TakeoutMemory -benchtime 1000x
func BenchmarkTakeoutMemory(b *testing.B) {
	const size = 50_000_000
	s := newUploadSite(b, 1, 1)
	p := s.signUp("taker")
	file := &sentFile{name: "large.jpg", key: "large", data: paddedPicture(newPicture(b, 100), size, 1)}
	must(b, newSender(b, p, s.urls).upload(b.Context(), file))
	_, err := s.pool.Exec(b.Context(), `INSERT INTO photos (user_id, image_id, width, height, color, title)
		SELECT p.user_id, p.image_id, p.width, p.height, p.color, 'Copy' FROM photos p, generate_series(2, $2)
		WHERE p.user_id = $1`, s.userID("taker"), b.N)
	must(b, err)
	p.form(0, "/me/takeout", url.Values{}).expect(http.StatusSeeOther, "/me/takeout?notice=takeout")
	address := ""
	testenv.Eventually(b, "the zip file is ready", func() bool {
		address = p.get(0, "/me/takeout").attr("main li a[href$='.zip']", "href")
		return address != ""
	})
	testenv.Eventually(b, "the pictures are made", func() (made bool) {
		must(b, s.pool.QueryRow(b.Context(), "SELECT NOT EXISTS (SELECT FROM unmade_pictures)").Scan(&made))
		return made
	})
	must(b, s.roles.Kill(b.Context(), roles.Renderer)) // what preparing took counts no more
	most := func() map[roles.Role]float64 {            // since the last call
		m := map[roles.Role]float64{}
		for _, role := range []roles.Role{roles.Edge, roles.Renderer} {
			pid := s.pids(role)[0]
			m[role] = mostResidentMiB(b, pid)
			must(b, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0))
		}
		return m
	}
	most()
	for range 5_000 {
		p.get(0, "/me/takeout")
	}
	pages := most()
	client := newClient(b, 1)
	client.Jar, client.Timeout = p.client.Jar, 0
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.urls[0]+address, http.NoBody)
	must(b, err)
	b.ResetTimer()
	answer, err := client.Do(r)
	must(b, err)
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	must(b, err)
	b.StopTimer()
	if n != answer.ContentLength || n < int64(b.N)*(size-100_000) {
		b.Fatalf("%d bytes of %d", n, answer.ContentLength)
	}
	zip, more := most(), 0.0
	for role := range zip {
		b.ReportMetric(zip[role]-pages[role], string(role)+"-MiB-more")
		more += zip[role] - pages[role]
	}
	b.ReportMetric(more, "MiB-more")
	b.ReportMetric(float64(n)/1e9, "GB")
	b.ReportMetric(float64(n)/1e6/b.Elapsed().Seconds(), "MB/s")
}
