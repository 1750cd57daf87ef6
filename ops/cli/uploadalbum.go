package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// addTo puts the photos of all files into an album, in the order of the files. Those that are in it stay where they
// are, so the next run does what this one has not done.
func (u *uploader) addTo(s *session, edge *edgeClient, album string) error {
	var photos []string
	for _, r := range u.results { // in order, see report
		if r.err == nil {
			photos = append(photos, path.Base(r.photo))
		}
	}
	for rest := photos; len(rest) > 0; {
		some := rest[:min(len(rest), page.MaxPhotos)]
		rest = rest[len(some):]
		form := url.Values{"do": {"add"}, "album": {album}, "photos": {strings.Join(some, ",")}, "key": {rand.Text()}}
		if err := u.post(s.ctx, edge, form); err != nil {
			return err
		}
	}
	if len(photos) > 0 {
		fmt.Fprintf(s.stdout, "%d in the album %s\n", len(photos), album)
	}
	return nil
}

// post sends a form about albums until the site says what has become of it: sent again with its key it is done once.
func (u *uploader) post(ctx context.Context, edge *edgeClient, form url.Values) error {
	for tries := 0; ; tries++ {
		again, err := u.try(ctx, edge, form)
		if err == nil || !again || tries == uploadTries || !sleep.For(ctx, min(uploadPause<<tries, 30*time.Second)) {
			return err
		}
	}
}

// try sends a form once. again: it may go better later.
func (u *uploader) try(ctx context.Context, edge *edgeClient, form url.Values) (again bool, err error) {
	answer, err := edge.post(ctx, page.PrivateAlbums.Path(), u.token, form)
	if err != nil {
		return true, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return false, nil
	}
	return answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests,
		edge.unexpected("put the photos into an album", answer)
}
