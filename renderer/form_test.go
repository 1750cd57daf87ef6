package renderer

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/wire"
)

// TestBadForms: each is refused before anything is asked of Postgres, in words that say what to do.
func TestBadForms(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	long := func(name string, n int) string {
		return "id=1&" + name + "=" + url.QueryEscape(strings.Repeat("é", n))
	}
	for _, c := range []struct{ action, form, want string }{
		{"photo.edit", "", "id is missing: give the number of a photo"},
		{"photo.edit", "title=x", "id is missing: give the number of a photo"},
		{"photo.edit", "id=&title=x", "id is not the number of a photo: give digits, such as 7"},
		{"photo.edit", "id=0&title=x", "id is not the number of a photo: give digits, such as 7"},
		{"photo.edit", "id=-1&title=x", "id is not the number of a photo: give digits, such as 7"},
		{"photo.edit", "id=%2B1&title=x", "id is not the number of a photo: give digits, such as 7"},
		{"photo.edit", "id=1x&title=x", "id is not the number of a photo: give digits, such as 7"},
		{"photo.edit", "id=9223372036854775808&title=x", "id is not the number of a photo: give digits, such as 7"},
		{"photo.edit", "id=1&id=1&title=x", "id is given 2 times: give it once"},
		{"photo.edit", "id=1&title=x&title=y&title=z", "title is given 3 times: give it once"},
		{"photo.edit", "id=1", "form changes nothing: give a title, a description or both"},
		{"photo.edit", "id=1&title=x&colour=red", "colour is no field of photo.edit: " +
			"leave it out, it takes id, title, description"},
		{"photo.edit", "id=1&title=x&a%0D%0AKillr-Code:+ok=1",
			"a%0D%0AKillr-Code%3A+ok is no field of photo.edit: leave it out, it takes id, title, description"},
		{"photo.edit", "id=1&title=x&=", "form is no field of photo.edit: " +
			"leave it out, it takes id, title, description"},
		{"photo.edit", long("title", 201), "title has 201 characters: shorten it to 200"},
		{"photo.edit", "id=1&title=a%0Ab", "title has line breaks or other control characters: leave them out"},
		{"photo.edit", "id=1&title=a%00b", "title has line breaks or other control characters: leave them out"},
		{"photo.edit", "id=1&title=a%C2%85b", "title has line breaks or other control characters: leave them out"},
		{"photo.edit", "id=1&title=%FF", "title is not UTF-8: encode it as that"},
		{"photo.edit", long("description", 5001), "description has 5001 characters: shorten it to 5000"},
		{"photo.edit", "id=1&description=a%1Bb", "description has control characters: " +
			"leave out all but line breaks and tabs"},
		{"photo.edit", "id=1&description=a%0Db", "description has control characters: " +
			"leave out all but line breaks and tabs"},
		{"photo.edit", "id=1&description=%C3", "description is not UTF-8: encode it as that"},
		{"photo.edit", "id=1&title=%zz", "form cannot be read: encode it as application/x-www-form-urlencoded"},
		{"photo.edit", "id=1;title=x", "form cannot be read: encode it as application/x-www-form-urlencoded"},
		{"photo.edit", "id=1&title=" + strings.Repeat("x", 128<<10), "form has 131083 bytes: shorten it to 131072"},
		{"photo.delete", "", "id is missing: give the number of a photo"},
		{"photo.delete", "id=1&title=x", "title is no field of photo.delete: leave it out, it takes id"},
		{"photo.privacy", "id=1", "private is missing: give true or false"},
		{"photo.privacy", "id=1&private=1", "private is neither true nor false: give one of them"},
		{"photo.privacy", "id=1&private=", "private is neither true nor false: give one of them"},
		{"photo.privacy", "private=true", "id is missing: give the number of a photo"},
	} {
		checkInputError(t, st.act(t, c.action, "key", c.form), c.want, c.form)
	}
	for _, c := range []struct {
		keys []string
		want string
	}{
		{nil, "Killr-Key is missing: name this attempt, and its repetitions alike, by a key of your own"},
		{[]string{""}, "Killr-Key is not one key: give 1 to 64 printable ASCII characters without a space"},
		{[]string{"a b"}, "Killr-Key is not one key: give 1 to 64 printable ASCII characters without a space"},
		{[]string{"é"}, "Killr-Key is not one key: give 1 to 64 printable ASCII characters without a space"},
		{[]string{strings.Repeat("k", 65)}, "Killr-Key is not one key: " +
			"give 1 to 64 printable ASCII characters without a space"},
		{[]string{"a", "b"}, "Killr-Key is not one key: give 1 to 64 printable ASCII characters without a space"},
	} {
		header := nats.Header{}
		if c.keys != nil {
			header[wire.HeaderKey] = c.keys
		}
		checkInputError(t, st.send(t, "photo.delete", header, "id=1"), c.want, fmt.Sprint(c.keys))
	}
	var photos, keys int
	const counts = `SELECT (SELECT count(*) FROM photos), (SELECT count(*) FROM action_keys)`
	if err := st.pool.QueryRow(t.Context(), counts).Scan(&photos, &keys); err != nil {
		t.Fatal(err)
	}
	if photos != 103 || keys != 0 {
		t.Errorf("%d photos and %d keys after nothing was done", photos, keys)
	}
}

func checkInputError(t testing.TB, reply *nats.Msg, want, what string) {
	t.Helper()
	if err := wire.ErrorOf(reply); wire.Code(err) != "bad_request" {
		t.Errorf("%.60q: %v, want bad_request", what, err)
	}
	for _, header := range []string{wire.HeaderDetail, micro.ErrorHeader} {
		if got := reply.Header.Get(header); got != want {
			t.Errorf("%.60q: %s says\n%q, want\n%q", what, header, got, want)
		}
	}
	if status := reply.Header.Get(micro.ErrorCodeHeader); status != "400" {
		t.Errorf("%.60q: status %s", what, status)
	}
}

// TestGoodForms: what a browser sends, as it is stored.
func TestGoodForms(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	emoji := strings.Repeat("🎞", maxDescription)
	for i, c := range []struct{ form, title, description string }{
		{"id=1&title=++At+the+lake%0D%0A", "At the lake", "Seen from the road <b>1"},
		{"id=1&description=%0D%0Aone%0D%0A%09two%0Athree+", "At the lake", "one\n\ttwo\nthree"},
		{"id=1&title=&description=+", "", ""},
		{"title=%3Cscript%3E&id=1&", "<script>", ""},
		{url.Values{"id": {"1"}, "title": {strings.Repeat("🎞", maxTitle)}, "description": {emoji}}.Encode(),
			strings.Repeat("🎞", maxTitle), emoji},
	} {
		if err := wire.ErrorOf(st.act(t, wire.ActionPhotoEdit, fmt.Sprint("key", i), c.form)); err != nil {
			t.Errorf("%.60q: %v", c.form, err)
			continue
		}
		var got [2]string
		if err := st.pool.QueryRow(t.Context(), `SELECT title, description FROM photos WHERE id = 1`).Scan(&got[0],
			&got[1]); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([2]string{c.title, c.description}, got); diff != "" {
			t.Errorf("%.60q: %s", c.form, diff)
		}
	}
}

// TestParseFormKeeps: with an error come the fields that were read, so that the form's page can show them.
func TestParseFormKeeps(t *testing.T) {
	t.Parallel()
	f, err := parseForm("a.b", []byte("bio=x&bio=y&admin=1&display=Ansel&name=%FF"), "bio", "display", "name")
	want := wrong("admin", "is no field of a.b: leave it out, it takes bio, display, name")
	if err == nil || err.Error() != want.Error() {
		t.Errorf("the first mistake is %v", err)
	}
	if diff := cmp.Diff(form{"display": "Ansel"}, f); diff != "" {
		t.Error(diff)
	}
}
