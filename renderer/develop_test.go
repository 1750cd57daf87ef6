package renderer

import (
	"testing"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

// TestPictureThatEndsProcesses is not decoded any more, whoever asks for it. Its photos stay, and it is forgotten when
// they are gone.
func TestPictureThatEndsProcesses(t *testing.T) {
	t.Parallel()
	st, path := pictureSite(t)
	im := st.ingest(t, 800, 600)
	s := st.start(t, nil)
	photo := st.post(t, im)
	forget(t, path, im.ID, 640)
	const again = "INSERT INTO unmade_pictures (image_id, due_at, tries) VALUES ($1, now() + interval '1 h', $2)"
	if _, err := st.pool.Exec(t.Context(), again, im.ID, developTries+1); err != nil {
		t.Fatal(err)
	}
	taken := func() {
		t.Helper()
		p := undeveloped{image: im.ID, taken: true, times: developTries + 1}
		if err := s.developOne(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	taken()
	const later = "SELECT count(*) FROM unmade_pictures WHERE image_id = $1 AND due_at > now() + interval '2 h'"
	if n := st.scalar(t, later, im.ID); n != 1 {
		t.Error("it is not noted that the picture was given up")
	}
	if reply := st.get(t, st.picture(t, photo, 640)); reply.Status != 404 {
		t.Errorf("its picture has status %d", reply.Status)
	}
	if reply := st.get(t, page.Photo(photo)); reply.Status != 200 {
		t.Errorf("its page has status %d", reply.Status)
	}
	if ok, err := pictures.IsStored(t.Context(), st.pictures, pictures.DerivativeName(im.ID, 640)); ok || err != nil {
		t.Errorf("it was decoded: %t, %v", ok, err)
	}
	if err := st.pictures.Delete(t.Context(), im.ID); err != nil {
		t.Fatal(err)
	}
	taken()
	if n := st.scalar(t, "SELECT count(*) FROM unmade_pictures"); n != 0 {
		t.Errorf("%d pictures wait that are gone", n)
	}
}
