package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

// retitle changes a photo's title as a person in psql does, and checks that every edge shows the new one within a
// second.
func (s *site) retitle(t *testing.T, title string) {
	t.Helper()
	var id int64
	if err := s.pool.QueryRow(
		t.Context(),
		"SELECT max(p.id) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1 AND NOT private", s.names[0],
	).Scan(&id); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, len(s.urls))
	paths := []string{"/photos/" + s.names[0], fmt.Sprintf("/photo/%d", id)}
	for _, url := range s.urls { // fill every cache with what will be outdated
		for _, path := range paths {
			for range 3 {
				status, _, _, err := testenv.Fetch(t.Context(), client, url+path)
				if err != nil || status != http.StatusOK {
					t.Fatalf("%s: %d %v", url+path, status, err)
				}
			}
		}
	}
	s.exec("UPDATE photos SET title = $1 WHERE id = $2", title, id)
	committed := time.Now()
	for _, url := range s.urls {
		for _, path := range paths {
			for {
				begun := time.Now()
				status, header, body, err := testenv.Fetch(t.Context(), client, url+path)
				if err == nil && status == http.StatusOK && strings.Contains(body, title) {
					break
				}
				if begun.Sub(committed) > time.Second {
					t.Fatalf(
						"%s, begun %v after the commit, from %s: the title is not there (%d, %v)", url+path,
						begun.Sub(committed), header.Get("X-Cache"), status, err,
					)
				}
			}
		}
	}
}

func TestChangeInPsqlShowsOnEveryEdge(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 2)
	for i := range 10 {
		s.retitle(t, fmt.Sprintf("Title number %d", i))
	}
}

func TestWhatWasNotFoundAppears(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, 1)
	client := newClient(t, 2)
	var next int64
	if err := s.pool.QueryRow(t.Context(), "SELECT max(id) + 1 FROM photos").Scan(&next); err != nil {
		t.Fatal(err)
	}
	photo := fmt.Sprintf("/photo/%d", next)
	expect := func(path string, want int) {
		t.Helper()
		for _, url := range s.urls {
			for end := time.Now().Add(time.Second); ; {
				begun := time.Now()
				status, header, _, err := testenv.Fetch(t.Context(), client, url+path)
				if err == nil && status == want {
					break
				}
				if begun.After(end) {
					t.Fatalf("%s: %d from %s, %v; want %d", url+path, status, header.Get("X-Cache"), err, want)
				}
			}
		}
	}
	for range 3 {
		expect(photo, http.StatusNotFound)
		expect("/photos/newcomer", http.StatusNotFound)
	}
	s.exec("INSERT INTO users (name, display_name) VALUES ('newcomer', 'A Newcomer')")
	expect("/photos/newcomer", http.StatusOK)
	s.exec(`INSERT INTO photos (id, user_id, image_id, width, height, color, title)
		SELECT $1, u.id, i.id, i.width, i.height, i.color, 'First' FROM users u, (SELECT * FROM images LIMIT 1) i WHERE u.name = 'newcomer'`, next)
	expect(photo, http.StatusOK)
	s.exec("UPDATE photos SET private = true WHERE id = $1", next)
	expect(photo, http.StatusNotFound)
	s.exec("UPDATE photos SET private = false WHERE id = $1", next)
	expect(photo, http.StatusOK)
	s.exec("DELETE FROM photos WHERE id = $1", next)
	expect(photo, http.StatusNotFound)
	s.exec("DELETE FROM users WHERE name = 'newcomer'")
	expect("/photos/newcomer", http.StatusNotFound)
}
