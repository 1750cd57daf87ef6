package e2e

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
)

// TestPicturesInABucket is the way of a photo on a site whose pictures are in a bucket: uploaded, shown, downloaded,
// and deleted without a trace. When the server is gone, pictures that are kept are shown, others are asked for later,
// and an upload waits.
func TestPicturesInABucket(t *testing.T) {
	t.Parallel()
	server := testenv.NewS3(t)
	location := server.Bucket(t)
	s := newPeopleSite(t, func(cfg *roles.Config) { cfg.Pictures = location })
	store, err := pictures.OpenFiles(location)
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	p, visitor := s.person("imogen"), s.person("")
	p.signUp(0)

	file := newPicture(t, 1000)
	sent := p.tus(http.MethodPost, 0, "/upload/files", file, "Upload-Length", strconv.Itoa(len(file)), "Content-Type",
		"application/offset+octet-stream", "Upload-Metadata", "filename TGFrZSBhdCBkYXduLmpwZw==")
	sent.expect(http.StatusCreated, sent.header.Get("Location"))
	photo := sent.header.Get("Killr-Photo")
	s.isShown(p, photo, "Lake at dawn")
	number, _ := strings.CutPrefix(photo, "/photo/")
	status, _, original, err := testenv.Fetch(t.Context(), p.client, s.urls[1]+"/me/photos/"+number+"/original")
	if err != nil || original != string(file) {
		t.Errorf("the original is %d bytes, %d, not the file of %d (%v)", len(original), status, len(file), err)
	}

	testenv.Eventually(t, "all derivatives are made, and nothing is left of the upload", func() bool {
		staged, err := store.Staged(t.Context())
		must(t, err)
		return len(filesOf(t, store)) == 4 && len(staged) == 0
	})
	link := pictureLink.FindString(visitor.get(0, photo).body)
	folder := link[:strings.LastIndex(link, "/")+1]
	small, wide := folder+"320.jpg", folder+"1280.jpg"
	picture := func(link string) (int, http.Header) { // as bytes, which are no page
		status, header, _, err := testenv.Fetch(t.Context(), visitor.client, s.urls[0]+link)
		must(t, err)
		return status, header
	}
	for range 2 { // the second time it is kept
		if status, _ := picture(small); status != http.StatusOK {
			t.Fatalf("%s has status %d", small, status)
		}
	}
	must(t, server.Kill())
	if status, _ := picture(small); status != http.StatusOK {
		t.Errorf("a picture that is kept: %d", status)
	}
	if page := visitor.get(0, photo); page.status != http.StatusOK {
		t.Errorf("the photo's page: %d", page.status)
	}
	if status, header := picture(wide); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("a picture that is kept nowhere: %d, %v", status, header)
	}
	second := newPicture(t, 700)
	arrived := make(chan *shown, 1)
	go func() {
		arrived <- p.tus(http.MethodPost, 1, "/upload/files", second, "Upload-Length", strconv.Itoa(len(second)),
			"Content-Type", "application/offset+octet-stream")
	}()
	must(t, server.Restart(t.Context()))
	testenv.Eventually(t, "the picture is shown", func() bool {
		status, _ := picture(wide)
		return status == http.StatusOK
	})
	late := <-arrived
	if !strings.HasPrefix(late.header.Get("Killr-Photo"), "/photo/") {
		t.Errorf("an upload while the server was away: %d %s", late.status, late.body)
	}
	next, _ := strings.CutPrefix(late.header.Get("Killr-Photo"), "/photo/")

	p.form(0, "/me/photos", url.Values{"photos": {number, next}, "do": {"bin"}})
	removed := p.form(1, "/me/bin", url.Values{"photos": {number, next}, "do": {"remove"}})
	if receipt := p.done(removed.header.Get("Location")); len(receipt.Edges) == 0 {
		t.Error("no edge is named in the receipt")
	}
	testenv.Eventually(t, "nothing is left in the bucket", func() bool { return len(filesOf(t, store)) == 0 })
}

// TestPicturesMove: while pictures move from a directory into a bucket, each is shown, people upload and delete, and in
// the end the bucket has what is left, and nothing else.
func TestPicturesMove(t *testing.T) {
	t.Parallel()
	directory, bucket := t.TempDir(), testenv.S3Bucket(t)
	var was roles.Config
	s := newPeopleSite(t, func(cfg *roles.Config) {
		cfg.Pictures, cfg.PicturesAlso = directory, bucket
		was = *cfg
	})
	p, visitor := s.person("dorothea"), s.person("")
	p.signUp(0)
	var photos []string
	upload := func() {
		file := newPicture(t, 300)
		sent := p.tus(http.MethodPost, 0, "/upload/files", file, "Upload-Length", strconv.Itoa(len(file)),
			"Content-Type", "application/offset+octet-stream")
		sent.expect(http.StatusCreated, sent.header.Get("Location"))
		photos = append(photos, sent.header.Get("Killr-Photo"))
	}
	shown := func() {
		t.Helper()
		for edge, photo := range photos { // each edge is asked for one that it has not kept
			link := pictureLink.FindString(visitor.get(edge%len(s.urls), photo).body)
			status, _, _, err := testenv.Fetch(t.Context(), visitor.client, s.urls[edge%len(s.urls)]+link)
			if err != nil || status != http.StatusOK {
				t.Errorf("%s of %s has status %d (%v)", link, photo, status, err)
			}
		}
	}
	from, err := pictures.OpenFiles(directory)
	must(t, err)
	t.Cleanup(func() { must(t, from.Close()) })
	to, err := pictures.OpenFiles(bucket)
	must(t, err)
	t.Cleanup(func() { must(t, to.Close()) })
	for range 3 {
		upload()
	}
	testenv.Eventually(t, "all derivatives are made", func() bool { return len(filesOf(t, from)) == 9 })
	if got := filesOf(t, to); len(got) != 0 {
		t.Fatalf("the bucket has %v already", got)
	}

	moving := roles.Config{Services: was.Services, Pictures: bucket, PicturesAlso: directory, Logger: was.Logger}
	next := roles.New(moving)
	t.Cleanup(func() { must(t, next.Stop()) })
	must(t, next.Add(roles.Renderer, 1))
	must(t, next.WaitReady(t.Context()))
	upload() // either renderer takes it
	must(t, s.site.Remove(roles.Renderer))
	upload()
	shown()
	remove := func(photo string) {
		fields := url.Values{"photos": {strings.TrimPrefix(photo, "/photo/")}, "do": {"bin"}}
		p.form(0, "/me/photos", fields)
		p.done(p.form(1, "/me/bin", url.Values{"photos": fields["photos"], "do": {"remove"}}).header.Get("Location"))
	}
	copies := 0
	so, err := pictures.Copy(t.Context(), from, to, func(pictures.Copied) {
		if copies++; copies == 2 {
			remove(photos[0])
			remove(photos[4])
		}
	})
	must(t, err)
	if so.Files == 0 {
		t.Errorf("nothing was copied: %+v", so)
	}
	pool, err := pgxpool.New(t.Context(), was.Services.Postgres)
	must(t, err)
	t.Cleanup(pool.Close)
	_, err = store.RemoveUnknown(t.Context(), pool, pictures.IDs(t.Context(), to))
	must(t, err)
	_, err = pool.Exec(t.Context(), "UPDATE unused_images SET due_at = '-infinity'") // without the wait of 30 s
	must(t, err)
	photos = photos[1:4]
	testenv.Eventually(t, "the bucket has three photos and nothing else", func() bool {
		return len(filesOf(t, to)) == 3*3
	})
	last := roles.New(roles.Config{Services: was.Services, Pictures: bucket, Logger: was.Logger})
	t.Cleanup(func() { must(t, last.Stop()) })
	must(t, last.Add(roles.Renderer, 1))
	must(t, last.WaitReady(t.Context()))
	must(t, next.Remove(roles.Renderer))
	shown()
}

// filesOf names the files of a store.
func filesOf(t testing.TB, store pictures.Files) (names []string) {
	t.Helper()
	for f, err := range store.List(t.Context(), "") {
		must(t, err)
		names = append(names, f.Name)
	}
	return names
}
