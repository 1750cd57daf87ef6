package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

// ownAPI reads and changes what is a person's own, by a token.
type ownAPI struct {
	*edgeClient
	token string
}

// ownPhoto is a photo as its form shows it.
type ownPhoto struct {
	Title, Description, Taken, Visibility, Licence, Download string
	Tags                                                     []string
}

const (
	apiTries = 8
	apiPause = 200 * time.Millisecond // before the second try; each further one waits twice as long
)

// errNo is an answer that another try does not change.
type errNo struct {
	error
	status int
}

// ask makes a request until it is answered. A form that is sent again has the same key, so it is done once.
func (a ownAPI) ask(ctx context.Context, path string, form url.Values, into any) error {
	if form != nil {
		form.Set("key", rand.Text())
	}
	for tries := 0; ; tries++ {
		err := a.askOnce(ctx, path, form, into)
		if _, no := errors.AsType[errNo](err); err == nil || no || tries == apiTries {
			return err
		}
		if !sleep.For(ctx, min(apiPause<<tries, 10*time.Second)) {
			return context.Cause(ctx)
		}
	}
}

func (a ownAPI) askOnce(ctx context.Context, path string, form url.Values, into any) error {
	var answer *http.Response
	var err error
	if form != nil {
		answer, err = a.post(ctx, path, a.token, form)
	} else {
		var r *http.Request
		if r, err = http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, http.NoBody); err != nil {
			return err
		}
		answer, err = a.do(r, a.token)
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch status := answer.StatusCode; {
	case status == http.StatusOK:
		if into == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			return err
		}
		return json.NewDecoder(answer.Body).Decode(into)
	case status >= 500, status == http.StatusTooManyRequests:
		return a.unexpected(path, answer)
	default:
		return errNo{a.unexpected(path, answer), status}
	}
}

func (a ownAPI) photo(ctx context.Context, id int64) (p ownPhoto, err error) {
	return p, a.ask(ctx, page.OwnPhoto(id).Path(), nil, &p)
}

func (a ownAPI) editPhoto(ctx context.Context, id int64, fields map[string]string) error {
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	return a.ask(ctx, page.OwnPhoto(id).Path(), form, nil)
}

// ownAlbumEntry is an album in the list of a person's own.
type ownAlbumEntry struct {
	ID     int64
	Title  string
	Albums []ownAlbumEntry
}

// findAlbum looks for an album by its title, which is in another one or, with the parent "", in none. 0: there is none.
func (a ownAPI) findAlbum(ctx context.Context, title, parent string) (int64, error) {
	for before := int64(0); ; {
		var list struct {
			Albums []ownAlbumEntry
			Older  int64
		}
		path := page.PrivateAlbums.Path()
		if before != 0 {
			path += "?before=" + strconv.FormatInt(before, 10)
		}
		if err := a.ask(ctx, path, nil, &list); err != nil {
			return 0, err
		}
		for _, album := range list.Albums {
			if parent == "" && strings.EqualFold(album.Title, title) {
				return album.ID, nil
			}
			for _, inside := range album.Albums {
				if strings.EqualFold(album.Title, parent) && strings.EqualFold(inside.Title, title) {
					return inside.ID, nil
				}
			}
		}
		if before = list.Older; before == 0 {
			return 0, nil
		}
	}
}

// makeAlbum makes an album if there is none of that title. Unless everybody may see it nobody else does.
func (a ownAPI) makeAlbum(ctx context.Context, title, description, parent, visibility string) error {
	found, err := a.findAlbum(ctx, title, parent)
	if err != nil || found != 0 {
		return err
	}
	form := url.Values{"do": {"make"}, "title": {title}, "description": {description}, "parent": {parent}}
	if visibility != "" && visibility != "public" {
		form.Set("visibility", "private")
	}
	return a.ask(ctx, page.PrivateAlbums.Path(), form, nil)
}

// showAlbum says who sees an album that has no photos yet. Of one that has some its owner has said so.
func (a ownAPI) showAlbum(ctx context.Context, title, parent, visibility string) error {
	if visibility == "" || visibility == "public" {
		return nil
	}
	id, err := a.findAlbum(ctx, title, parent)
	if err != nil || id == 0 {
		return err
	}
	var now struct {
		Visibility string
		Total      int64 `json:"photos_in_all"`
	}
	path := page.OwnAlbum(id).Path()
	if err := a.ask(ctx, path, nil, &now); err != nil || now.Total != 0 || now.Visibility == visibility {
		return err
	}
	if err := a.ask(ctx, path, url.Values{"do": {"show"}, "visibility": {visibility}}, nil); err != nil {
		return fmt.Errorf("hide the album: %w", err)
	}
	return nil
}

// addToAlbum puts photos at the end of an album, in their order. Those that are in it stay where they are. It makes the
// album if there is none of that name.
func (a ownAPI) addToAlbum(ctx context.Context, label string, photos []string) error {
	for some := range slices.Chunk(photos, page.MaxPhotos) {
		err := a.ask(ctx, page.PrivateAlbums.Path(), url.Values{"do": {"add"}, "album": {label},
			"photos": {strings.Join(some, ",")}}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// coverAlbum chooses the cover of an album that has none. A photo that not everybody may see stays out.
func (a ownAPI) coverAlbum(ctx context.Context, title, parent string, photo int64) error {
	id, err := a.findAlbum(ctx, title, parent)
	if err != nil || id == 0 {
		return err
	}
	var now struct{ Cover int64 }
	path := page.OwnAlbum(id).Path()
	if err := a.ask(ctx, path, nil, &now); err != nil || now.Cover != 0 {
		return err
	}
	err = a.ask(ctx, path, url.Values{"do": {"cover"}, "photos": {strconv.FormatInt(photo, 10)}}, nil)
	if no, ok := errors.AsType[errNo](err); ok && no.status == http.StatusUnprocessableEntity {
		return nil
	}
	if err != nil {
		return fmt.Errorf("choose the cover: %w", err)
	}
	return nil
}
