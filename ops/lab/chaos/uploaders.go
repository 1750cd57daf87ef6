package chaos

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"flickrkillr/ops/lab/person"
	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// uploaders are people who upload photos, and delete some for good, in rows of a site whose pictures are in a bucket.
type uploaders struct {
	web   person.Client
	edges []string
	all   []*uploader

	mu      sync.Mutex
	kept    map[int64][]byte // the file of each photo that was acknowledged and not deleted
	made    int              // photos that were acknowledged
	removed int
	wrong   []string // answers that are neither done nor a refusal that says when to come again
}

type uploader struct {
	name string
	as   person.Session
	own  []int64 // photos that they have not deleted
}

const (
	uploadersCount = 4
	uploadPause    = 500 * time.Millisecond // between two uploads of one of them
	uploadPatience = 2 * time.Minute        // that an upload or a deletion is tried for
	uploadAgain    = 200 * time.Millisecond
	largeFile      = 600 << 10 // bytes: more than one chunk
)

// signUp signs people up.
func signUp(ctx context.Context, edges []string) (*uploaders, error) {
	u := &uploaders{edges: edges, kept: map[int64][]byte{}, web: person.Client{HTTP: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: uploadersCount}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}}
	for i := range uploadersCount {
		name := "chaos-" + strings.ToLower(rand.Text()[:12])
		form := url.Values{"name": {name}, "password": {rand.Text()}}
		answer, err := u.web.Post(ctx, edges[i%len(edges)], page.PrivateSignUp.Path(), person.Session{}, form)
		if err == nil && answer.Session.Token == "" {
			err = fmt.Errorf("the answer is %d %s", answer.Status, http.StatusText(answer.Status))
		}
		if err != nil {
			return nil, fmt.Errorf("sign up as %s: %w", name, err)
		}
		u.all = append(u.all, &uploader{name: name, as: answer.Session})
	}
	return u, nil
}

// run has people upload and delete until ctx ends. What they have begun by then they finish.
func (u *uploaders) run(ctx context.Context) error {
	var all sync.WaitGroup
	for i, p := range u.all {
		all.Go(func() {
			for n := 0; sleep.For(ctx, uploadPause); n++ {
				edge := u.edges[(i+n)%len(u.edges)]
				whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), uploadPatience)
				u.upload(whole, edge, p, n%2 == 0)
				if n%3 == 2 {
					u.remove(whole, edge, p)
				}
				cancel()
			}
		})
	}
	all.Wait()
	u.web.HTTP.CloseIdleConnections()
	return nil
}

// names are the names of all.
func (u *uploaders) names() (names []string) {
	for _, p := range u.all {
		names = append(names, p.name)
	}
	return names
}

// newPicture makes a picture unlike any other, of several chunks if it is to be large: bytes behind its end do no harm.
func newPicture(large bool) ([]byte, error) {
	noise := image.NewGray(image.Rect(0, 0, 400, 300))
	_, _ = rand.Read(noise.Pix) // never fails
	var file bytes.Buffer
	err := jpeg.Encode(&file, noise, nil)
	if large {
		file.Write(make([]byte, largeFile))
	}
	return file.Bytes(), err
}

func (u *uploaders) upload(ctx context.Context, edge string, p *uploader, large bool) {
	data, err := newPicture(large)
	if err != nil {
		u.note("a picture cannot be made: %v", err)
		return
	}
	key := rand.Text() // one for all tries
	answer := u.until(ctx, "an upload", func() (*person.Answer, error) {
		return u.web.Upload(ctx, edge, p.as, key, person.File{Name: "chaos.jpg", Data: data})
	})
	if answer == nil {
		return
	}
	number, err := strconv.ParseInt(path.Base(answer.Header.Get("Killr-Photo")), 10, 64)
	if err != nil {
		u.note("an upload is answered with %d and no photo: %s", answer.Status, answer.Body)
		return
	}
	p.own = append(p.own, number)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.made++
	u.kept[number] = data
}

// remove deletes the oldest photo of a person for good.
func (u *uploaders) remove(ctx context.Context, edge string, p *uploader) {
	if len(p.own) == 0 {
		return
	}
	number := p.own[0]
	p.own = slices.Clone(p.own[1:])
	u.mu.Lock()
	delete(u.kept, number) // from now on it may be gone
	u.mu.Unlock()
	photos := []string{strconv.FormatInt(number, 10)}
	for _, step := range []struct {
		to page.Private
		do string
	}{{page.PrivatePhotos, "bin"}, {page.PrivateBin, "remove"}} {
		form := url.Values{"photos": photos, "do": {step.do}, "key": {rand.Text()}}
		answer := u.until(ctx, "a deletion", func() (*person.Answer, error) {
			return u.web.Post(ctx, edge, step.to.Path(), p.as, form)
		})
		if answer == nil {
			return
		}
		if answer.Status != http.StatusSeeOther {
			u.note("a deletion is answered with %d: %s", answer.Status, answer.Body)
			return
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.removed++
}

// until sends a request again and again until there is an answer that tells what became of it; nil: there is none.
func (u *uploaders) until(ctx context.Context, what string, send func() (*person.Answer, error)) *person.Answer {
	for {
		answer, err := send()
		switch {
		case err == nil && answer.Status == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "":
			u.note("%s is refused, and not told when to come again: %s", what, answer.Body)
			return nil
		case err == nil && answer.Status < http.StatusInternalServerError &&
			answer.Status != http.StatusTooManyRequests:
			return answer
		case err == nil:
			err = errors.New(answer.Header.Get("Retry-After") + " " + http.StatusText(answer.Status))
		}
		if !sleep.For(ctx, uploadAgain) {
			u.note("%s was tried for %s: %v", what, uploadPatience, err)
			return nil
		}
	}
}

func (u *uploaders) note(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrong = append(u.wrong, fmt.Sprintf(format, args...))
}
