package renderer

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestOwnForms: what people type about their photos is read in one form, or refused with the reason.
func TestOwnForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	long := strings.Repeat("é", 61) // 122 bytes
	for _, c := range []struct {
		field, typed, want, problem string
	}{
		{"tags", " Lake,  Blue   Hour ,,LAKE, ", "[lake blue hour]", ""},
		{"tags", "", "[]", ""},
		{"tags", "cafe\u0301", "[café]", ""},
		{"tags", "a\u00a0b\tc", "[a b c]", ""},
		{"tags", strings.Repeat("x", 65), "", "65 characters: shorten it to 64"},
		{"tags", long, "", "122 bytes: shorten it to 120"},
		{"tags", "a\x00b", "", "control characters"},
		{"tags", "a\u202eb", "", "change the direction"},
		{"tags", strings.Join(many, ","), "", "are 101: leave 100"},
		{"day", "2026-02-28", "2026-02-28", ""},
		{"day", " ", "", ""},
		{"day", "2026-12-01", "2026-12-01", ""}, // begins earlier further east
		{"day", "2026-12-02", "", "yet to come"},
		{"day", "2026-02-29", "", "is no day"},
		{"day", "28.2.2026", "", "is no day"},
		{"day", "1815-06-18", "", "before there were photos"},
		{"photos", "9,7,9", "[7 9]", ""},
		{"photos", "", "[]", ""},
		{"photos", "7,", "", "cannot be read"},
		{"photos", "-7", "", "cannot be read"},
		{"photos", strings.Repeat("7,", 200) + "7", "", "201 photos are chosen"},
	} {
		t.Run(c.field+" "+c.typed[:min(len(c.typed), 20)], func(t *testing.T) {
			t.Parallel()
			f := form{c.field: c.typed}
			var got string
			var problem *wire.InputError
			switch c.field {
			case "tags":
				tags, p := f.tags("tags")
				if problem = p; tags != nil {
					got = fmt.Sprint(*tags)
				}
			case "day":
				day, p := f.day("day", now)
				if problem = p; day != nil {
					got = string(*day)
				}
			case "photos":
				ids, p := f.photos("photos")
				if problem = p; p == nil {
					got = fmt.Sprint(ids)
				}
			}
			if got != c.want || (problem != nil) != (c.problem != "") ||
				problem != nil && !strings.Contains(problem.Problem, c.problem) {
				t.Errorf("%q, %v, want %q, %q", got, problem, c.want, c.problem)
			}
		})
	}
	if tags, p := (form{}).tags("tags"); tags != nil || p != nil {
		t.Errorf("tags that were not given: %v, %v", tags, p)
	}
	if _, _, p := (form{"visibility": "friends"}).visibility(); p == nil {
		t.Error("a visibility that does not exist")
	}
}

// ask asks for a page of one's own photos, as an edge does.
func (m *member) ask(ref page.PrivateRef, asked wire.PrivateRequest) (*wire.Reply, error) {
	m.t.Helper()
	if asked.Values == nil {
		asked.Values = url.Values{}
	}
	if ref.Photo != 0 {
		asked.Values.Set("id", fmt.Sprint(ref.Photo))
		asked.Values.Set("width", fmt.Sprint(ref.Width))
	}
	data, err := asked.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	msg := &nats.Msg{Subject: ref.Subject(), Header: m.header("none"), Data: data}
	reply, err := m.st.nc.RequestMsg(msg, 10*time.Second)
	if err != nil {
		m.t.Fatal(err)
	}
	return &wire.Reply{Body: reply.Data}, wire.ErrorOf(reply)
}

// list asks for a page of photos, and returns their ids and what it says besides.
func (m *member) list(kind page.Private, pairs ...string) (ids []string, reply *wire.Reply) {
	m.t.Helper()
	asked := wire.PrivateRequest{Key: "key", Values: url.Values{}}
	for i := 0; i < len(pairs); i += 2 {
		asked.Values.Set(pairs[i], pairs[i+1])
	}
	asked.Notice = asked.Values.Get("notice")
	reply, err := m.ask(page.PrivateRef{Private: kind}, asked)
	if err != nil {
		m.t.Fatal(err)
	}
	for rest := string(reply.Body); ; {
		_, after, found := strings.Cut(rest, `type="checkbox" name="photos" value="`)
		if !found {
			return ids, reply
		}
		id, next, _ := strings.Cut(after, `"`)
		ids, rest = append(ids, id), next
	}
}

// TestOwnPhotos: people see, change and delete their own photos on the bus, and nobody else's.
func TestOwnPhotos(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('tags', 'id'), 2)`) // the rows have ids of their own
	st.start(t, nil)
	ansel := &member{st: st, t: t, user: 1}
	dorothea := &member{st: st, t: t, user: 2}

	ids, first := ansel.list(page.PrivatePhotos)
	if len(ids) != 26 || ids[0] != "100" || ids[25] != "75" || texts(t, first, ".dates li") == nil {
		t.Errorf("the first page has %v", ids)
	}
	older := func(reply *wire.Reply) string {
		t.Helper()
		_, after, _ := strings.Cut(string(reply.Body), `rel="next" href="/me/photos?before=`)
		at, _, _ := strings.Cut(after, `"`)
		if _, ok := parsePosition(at); !ok {
			t.Fatalf("the older photos are at %q", at)
		}
		return at
	}
	ids, second := ansel.list(page.PrivatePhotos, "before", older(first))
	if !slices.Contains(ids, "50") || texts(t, second, `.pager a[href="/me/photos"]`) == nil ||
		len(texts(t, second, ".badge")) != 1 || !bytes.Contains(second.Body, []byte("/me/pictures/50/640.jpg")) ||
		bytes.Contains(second.Body, []byte("/me/pictures/51/")) {
		t.Errorf("the second page has %v", ids)
	}
	for _, c := range []struct {
		field, value, want string
	}{
		{"visibility", "private", "[50]"}, {"untagged", "1", ""}, {"q", "nothing is called this", "[]"},
		{"part", "list", "[100"}, {"in", "x", "[100"}, {"before", "x", "[100"}, {"before", "9e9.1", "[100"},
		{"before", "-9223372036854775808.1", "[100"}, {"taken", "1826", "[]"}, {"from", "2026-13-01", "[100"},
		{"tagged", "\xff\x00", "[]"}, {"q", strings.Repeat("é%", 300), "[]"},
	} {
		ids, reply := ansel.list(page.PrivatePhotos, c.field, c.value)
		if got := fmt.Sprint(ids); !strings.HasPrefix(got, c.want) || len(reply.Body) == 0 {
			t.Errorf("%s=%s: %s", c.field, c.value, got)
		}
	}

	for _, c := range []struct {
		who   *member
		photo int64
		want  error
	}{{ansel, 50, nil}, {ansel, 51, nil}, {dorothea, 50, wire.ErrNotFound}, {ansel, 101, wire.ErrNotFound},
		{ansel, 999, wire.ErrNotFound}} {
		if _, err := c.who.ask(page.OwnPhoto(c.photo), wire.PrivateRequest{}); !errors.Is(err, c.want) {
			t.Errorf("the form of %d for user %d: %v", c.photo, c.who.user, err)
		}
		picture, err := c.who.ask(page.OwnPicture(c.photo, 640), wire.PrivateRequest{})
		if !errors.Is(err, c.want) {
			t.Errorf("the picture of %d for user %d: %v", c.photo, c.who.user, err)
		}
		if err == nil {
			if im, err := jpeg.Decode(bytes.NewReader(picture.Body)); err != nil || im.Bounds().Dx() != 640 {
				t.Errorf("the picture of %d: %v", c.photo, err)
			}
		}
	}
	if _, err := ansel.ask(page.OwnPicture(50, 1280), wire.PrivateRequest{}); err != nil {
		t.Errorf("a picture that is wider than its original: %v", err)
	}

	refused := ansel.do(wire.ActionOwnEdit, "bad", "id", "51", "title", strings.Repeat("x", 201),
		"tags", "lake, a\x01b", "taken", "x", "visibility", "private", "description", "Kept", "was-description", "Kept")
	for _, field := range []string{"title", "tags", "taken"} {
		if !bytes.Contains(refused.Data, []byte(field+"-problem")) {
			t.Errorf("nothing is said about the %s", field)
		}
	}
	if !bytes.Contains(refused.Data, []byte(`value="lake, `)) || !bytes.Contains(refused.Data, []byte("\nKept<")) ||
		refused.Header.Get(wire.HeaderStatus) != "422" {
		t.Error("what was typed is lost")
	}
	for _, id := range []string{"101", "999"} {
		if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "other"+id, "id", id, "title", "Mine")); !errors.Is(err,
			wire.ErrNotFound) {
			t.Errorf("photo %s: %v", id, err)
		}
	}
	edit := []string{"id", "51", "title", "Half Dome", "description", "From\r\nbelow", "tags", "Granite, blue hour",
		"taken", "1927-04-10", "visibility", "public"}
	version := st.get(t, page.User("ansel")).Depends
	st.scalar(t, "WITH other AS (UPDATE photos SET title = 'Meanwhile', private = true WHERE id = 52 RETURNING id) "+
		"SELECT id FROM other")
	kept := []string{"id", "52"}
	for _, name := range ownFields() {
		kept = append(kept, name, map[string]string{"description": "a\r\nb", "visibility": "public"}[name],
			wasPrefix+name, map[string]string{"description": "a\nb", "visibility": "public"}[name])
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnEdit, "kept", kept...)); err != nil {
		t.Error(err)
	}
	if n := st.scalar(t, "SELECT count(*) FROM photos WHERE id = 52 AND title = 'Meanwhile' AND private"); n != 1 {
		t.Error("a form that was opened earlier takes back what was changed since")
	}
	st.scalar(t, "WITH other AS (UPDATE photos SET private = false WHERE id = 52 RETURNING id) SELECT id FROM other")
	done := changed(t, ansel.do(wire.ActionOwnEdit, "edit", edit...))
	again := changed(t, ansel.do(wire.ActionOwnEdit, "edit", edit...))
	if len(done) != 1 || done[0].Scope != "user.ansel" || !slices.Equal(done, again) ||
		done[0].Version <= version[1].Version {
		t.Errorf("changes %v, then %v; the version was %v", done, again, version)
	}
	shown := st.get(t, page.Photo(51))
	if got := texts(t, shown, "h1, .tags li, dd"); !slices.Equal(got[:4],
		[]string{"Half Dome", "blue hour", "granite", "10 April 1927"}) {
		t.Errorf("the page says %q", got)
	}
	form, err := ansel.ask(page.OwnPhoto(51), wire.PrivateRequest{})
	if err != nil || !bytes.Contains(form.Body, []byte(`value="blue hour, granite"`)) ||
		!bytes.Contains(form.Body, []byte(`value="1927-04-10"`)) {
		t.Errorf("the form does not show what was written: %v", err)
	}

	for name, pairs := range map[string][]string{
		"none":  {"do", "bin"},
		"do":    {"photos", "51", "do", "restore"},
		"tag":   {"photos", "51", "do", "tag", "tag", ""},
		"two":   {"photos", "51", "do", "tag", "tag", "a,b"},
		"other": {"photos", "101,999", "do", "bin"},
	} {
		pairs = append(pairs, "list", "before=9000000000000000.7&q=e")
		reply := ansel.do(wire.ActionOwnPhotos, "refused-"+name, pairs...)
		if reply.Header.Get(wire.HeaderStatus) != "422" || ansel.problems(reply) == "" ||
			!bytes.Contains(reply.Data, []byte(`name="list" value="before=9000000000000000.7&amp;q=e"`)) {
			t.Errorf("%s: %q", name, ansel.problems(reply))
		}
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnPhotos, "bin", "photos", "50,51,101", "do", "bin")); err != nil {
		t.Fatal(err)
	}
	if reply := st.get(t, page.Photo(51)); reply.Status != http.StatusNotFound {
		t.Errorf("a photo in the bin: %d", reply.Status)
	}
	if ids, reply := ansel.list(page.PrivateBin); !slices.Equal(ids, []string{"51", "50"}) ||
		!bytes.Contains(reply.Body, []byte("/me/pictures/51/640.jpg")) {
		t.Errorf("the bin has %v", ids)
	}
	for name, seen := range map[string]string{"nothing": "", "before": "1000000"} {
		reply := ansel.do(wire.ActionOwnBin, "empty-"+name, "do", "empty", "seen", seen)
		if n := st.scalar(t, "SELECT count(*) FROM photos WHERE binned_at IS NOT NULL"); n != 2 {
			t.Errorf("emptied with %s: %v, %d are left", name, wire.ErrorOf(reply), n)
		}
	}
	if ids, _ := dorothea.list(page.PrivateBin); len(ids) != 0 {
		t.Errorf("dorothea's bin has %v", ids)
	}
	_, undo := ansel.list(page.PrivatePhotos, "notice", wire.NoticeBinned, "undo", "50,51")
	if !bytes.Contains(undo.Body, []byte(`name="photos" value="50,51"`)) {
		t.Error("there is nothing to undo it")
	}
	if _, calm := ansel.list(page.PrivatePhotos, "undo", "50,51"); bytes.Contains(calm.Body, []byte(`value="50,51"`)) {
		t.Error("a link can have something undone")
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionOwnBin, "undo", "photos", "50,51", "do", "restore")); err != nil {
		t.Fatal(err)
	}
	if reply := st.get(t, page.Photo(51)); reply.Status != http.StatusOK {
		t.Errorf("a photo that is back: %d", reply.Status)
	}
	if n := st.scalar(t, "SELECT count(*) FROM photos WHERE private"); n != 1 {
		t.Errorf("%d photos are private", n)
	}
}

// TestBinsAreEmptied: what is in a bin for 30 days is deleted by the renderer that relays.
func TestBinsAreEmptied(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `WITH binned AS (
		UPDATE photos SET private = true, private_before = false, binned_at = now() - id * interval '1 day'
			WHERE id BETWEEN 27 AND 33 RETURNING id) SELECT count(*) FROM binned`)
	st.start(t, nil)
	eventually(t, 20*time.Second, func() error {
		if n := st.scalar(t, "SELECT count(*) FROM photos WHERE binned_at IS NOT NULL"); n != 3 {
			return fmt.Errorf("%d photos are in the bin", n)
		}
		return nil
	})
	if n := st.scalar(t, "SELECT max(id) FROM photos WHERE binned_at IS NOT NULL"); n != 29 {
		t.Errorf("photo %d is in the bin", n)
	}
}
