package cli

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// tusSite is what an edge is to a program that uploads. It cuts the first body that reaches it half-way.
type tusSite struct {
	mu      sync.Mutex
	uploads []*tusUpload
	cut     bool     // a body was cut
	sent    int      // bytes of bodies that it took
	albums  []string // forms about albums; the first is answered with 503
}

type tusUpload struct {
	name, key string
	size      int
	data      []byte
}

func (s *tusSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/me/albums" && r.Header.Get("Authorization") == "Bearer killr_x" {
		_ = r.ParseForm()
		if s.albums = append(s.albums, r.PostForm.Encode()); len(s.albums) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return
	}
	if r.Header.Get("Authorization") != "Bearer killr_x" || r.Header.Get("Tus-Resumable") != "1.0.0" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPost {
		if s.known(w, r.Header.Get("Idempotency-Key")) {
			return
		}
		coded := strings.TrimPrefix(strings.Split(r.Header.Get("Upload-Metadata"), ",")[0], "filename ")
		name, _ := base64.StdEncoding.DecodeString(coded)
		size, _ := strconv.Atoi(r.Header.Get("Upload-Length"))
		s.uploads = append(s.uploads, &tusUpload{name: string(name), key: r.Header.Get("Idempotency-Key"), size: size})
		w.Header().Set("Location", fmt.Sprintf("/upload/files/%d", len(s.uploads)-1))
		w.Header().Set("Upload-Offset", "0")
		w.WriteHeader(http.StatusCreated)
		return
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/upload/files/"))
	one := s.uploads[n]
	if r.Method == http.MethodPatch {
		if r.Header.Get("Upload-Offset") != strconv.Itoa(len(one.data)) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		limit := int64(one.size)
		if !s.cut {
			limit = int64(one.size / 2)
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, limit))
		one.data = append(one.data, body...)
		s.sent += len(body)
		if !s.cut {
			s.cut = true
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Upload-Offset", strconv.Itoa(len(one.data)))
	if len(one.data) == one.size {
		switch one.name {
		case "bad.gif":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"error":"refused","problem":"the file is no picture"}`)
			return
		case "again.PNG":
			w.Header().Set("Killr-Duplicate", "1")
		}
		w.Header().Set("Killr-Photo", fmt.Sprintf("/photo/%d", n+1))
	}
	w.WriteHeader(http.StatusOK)
}

// known answers about an upload that has begun before. false: there is none.
func (s *tusSite) known(w http.ResponseWriter, key string) bool {
	for i, one := range s.uploads {
		if one.key != key {
			continue
		}
		w.Header().Set("Location", fmt.Sprintf("/upload/files/%d", i))
		w.Header().Set("Upload-Offset", strconv.Itoa(len(one.data)))
		switch {
		case len(one.data) == one.size && one.name == "bad.gif":
			w.WriteHeader(http.StatusGone)
			return true
		case len(one.data) == one.size:
			w.Header().Set("Killr-Photo", fmt.Sprintf("/photo/%d", i+1))
		}
		w.WriteHeader(http.StatusCreated)
		return true
	}
	return false
}

// TestPicturesIn: a folder may be a symbolic link. A folder in it that cannot be read is named, and keeps nothing else.
func TestPicturesIn(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	folderOfLink := filepath.Join(folder, "real")
	if err := os.MkdirAll(filepath.Join(folderOfLink, "shut"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folderOfLink, "a.jpg"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folderOfLink, link); err != nil {
		t.Fatal(err)
	}
	list, err := picturesIn(link)
	if err != nil || len(list.files) != 1 || list.size != 5 || len(list.failed) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	entries, err := os.ReadDir(folderOfLink)
	if err != nil {
		t.Fatal(err)
	}
	shut := filepath.Join(list.root, "shut")
	if err := list.add(shut, entries[1], fs.ErrPermission); err != nil || len(list.files) != 1 ||
		len(list.failed) != 1 || list.failed[0].path != shut {
		t.Errorf("a folder that is shut: %v, %+v", err, list)
	}
}

// TestUpload: the pictures of a folder are uploaded, a body that is cut goes on where it was, and each file that is
// refused is named.
func TestUpload(t *testing.T) {
	t.Parallel()
	site := &tusSite{}
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	folder, config := t.TempDir(), t.TempDir()
	size := 0
	for _, name := range []string{
		"a.jpg", "trip/again.PNG", "trip/b.jpeg", "trip/notes.txt", ".cache/c.jpg", ".d.jpg",
	} {
		path := filepath.Join(folder, name)
		data := []byte(strings.Repeat(name+"\n", 1000))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains("a.jpg trip/again.PNG trip/b.jpeg", name) {
			size += len(data)
		}
	}
	edge, err := tokenFlags{Edge: server.URL, Config: config}.open(&session{})
	if err == nil {
		err = edge.keep(keptToken{server.URL, "ansel", "killr_x"})
	}
	if err != nil {
		t.Fatal(err)
	}
	upload := func(path string, more ...string) (status int, said, complained string) {
		var out, errs bytes.Buffer
		program := Program{Stdout: &out, Stderr: &errs}
		arguments := append([]string{"upload", "--edge", server.URL, "--config", config, path}, more...)
		status = program.Run(t.Context(), arguments)
		return status, out.String(), errs.String()
	}
	status, said, complained := upload(folder)
	if status != 0 || !strings.HasSuffix(said, "2 uploaded, 1 there before, 0 failed\n") ||
		strings.Count(said, server.URL+"/photo/") != 2 {
		t.Errorf("status %d, %q, %q", status, said, complained)
	}
	if site.sent != size || !site.cut {
		t.Errorf("%d bytes were sent of %d", site.sent, size)
	}
	for _, one := range site.uploads {
		if !bytes.Equal(one.data, []byte(strings.Repeat(string(one.data[:bytes.IndexByte(one.data, '\n')+1]), 1000))) {
			t.Errorf("%s has arrived otherwise", one.name)
		}
	}
	status, said, _ = upload(folder)
	if status != 0 || site.sent != size || said != "0 uploaded, 3 there before, 0 failed\n" {
		t.Errorf("again: status %d, %d bytes were sent in all of %d, %q", status, site.sent, size, said)
	}
	byName := map[string]int{}
	for i, one := range site.uploads {
		byName[one.name] = i + 1
	}
	inOrder := fmt.Sprintf("album=Two+trips&do=add&key=KEY&photos=%d%%2C%d%%2C%d", byName["a.jpg"], byName["again.PNG"],
		byName["b.jpeg"])
	status, said, _ = upload(folder, "--album", "Two trips")
	if status != 0 || !strings.HasSuffix(said, "3 in the album Two trips\n") || len(site.albums) != 2 ||
		site.albums[0] != site.albums[1] || regexp.MustCompile("key=[^&]+").ReplaceAllString(site.albums[0],
		"key=KEY") != inOrder {
		t.Errorf("into an album: status %d, %q, forms %q, want %q", status, said, site.albums, inOrder)
	}
	i := slices.IndexFunc(site.uploads, func(one *tusUpload) bool { return one.name == "a.jpg" })
	half := &site.uploads[i].data // as if that run had been ended
	*half = (*half)[:len(*half)-100]
	if status, said, _ = upload(folder); status != 0 || site.sent != size+100 || len(site.uploads) != 3 ||
		!strings.HasSuffix(said, "1 uploaded, 2 there before, 0 failed\n") {
		t.Errorf("the next run: status %d, %d bytes were sent in all of %d, %q", status, site.sent, size+100, said)
	}
	bad := filepath.Join(folder, "bad.gif")
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, said, complained = upload(bad)
	if status != 1 || !strings.Contains(complained, bad+": the file is no picture\n") ||
		!strings.HasSuffix(said, "0 uploaded, 0 there before, 1 failed\n") {
		t.Errorf("a bad file: status %d, %q, %q", status, said, complained)
	}
	if upload(bad); len(site.uploads) != 5 {
		t.Errorf("a bad file was not tried again: %d uploads", len(site.uploads))
	}
	if status, _, complained := upload(filepath.Join(folder, ".cache", "none")); status != 1 ||
		!strings.Contains(complained, "none") {
		t.Errorf("no such folder: %d %q", status, complained)
	}
	if status, _, complained := upload(t.TempDir()); status != 1 || !strings.Contains(complained, "has no pictures") {
		t.Errorf("an empty folder: %d %q", status, complained)
	}
}
