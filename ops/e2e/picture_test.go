package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// pictureLink finds the address of a picture in a page.
var pictureLink = regexp.MustCompile(`/img/[a-z2-7]{26}/[0-9]+\.jpg`)

// TestPictureGoesWithItsPhoto: within a second after a photo is made private or deleted, no edge shows its picture at
// the address that it had. Made public again, it has another one. Edits leave the copies as they are.
func TestPictureGoesWithItsPhoto(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1)
	client := newClient(t, 2)
	id := column[int64](s, "SELECT max(id) FROM photos WHERE NOT private")[0]
	get := func(url string) (int, http.Header, string, error) { return testenv.Fetch(t.Context(), client, url) }
	// expect asks every edge for as long as a change may take to show.
	expect := func(path string, want int) {
		t.Helper()
		changed := time.Now()
		for _, url := range s.urls {
			for {
				begun := time.Now()
				status, header, _, err := get(url + path)
				if err == nil && status == want {
					break
				}
				if begun.Sub(changed) > time.Second {
					t.Fatalf("%s: %d from %s, %v; want %d", url+path, status, header.Get("X-Cache"), err, want)
				}
			}
		}
	}
	address := func() string {
		t.Helper()
		status, _, body, err := get(s.urls[0] + fmt.Sprintf("/photo/%d", id))
		picture := pictureLink.FindString(body)
		if err != nil || status != http.StatusOK || picture == "" {
			t.Fatalf("the photo's page: %d, %v, picture %q", status, err, picture)
		}
		return picture
	}
	first := address()
	for range 3 { // so that every cache has it
		expect(first, http.StatusOK)
	}
	s.exec("UPDATE photos SET title = 'Another title' WHERE id = $1", id)
	expect(first, http.StatusOK)
	s.exec("UPDATE photos SET private = true WHERE id = $1", id)
	expect(first, http.StatusNotFound)
	s.exec("UPDATE photos SET private = false WHERE id = $1", id)
	expect(fmt.Sprintf("/photo/%d", id), http.StatusOK)
	second := address()
	if second == first {
		t.Error("a photo that is public again has the address of before")
	}
	expect(second, http.StatusOK)
	expect(first, http.StatusNotFound)
	s.exec("DELETE FROM photos WHERE id = $1", id)
	expect(second, http.StatusNotFound)
}
