package renderer

import (
	"bytes"
	"fmt"
	"image"
	"regexp"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/templates"
)

// TestBlursOfBefore: images of before blurs get them while the site is in use, in steps, whoever relays: from the
// derivative, from the original if that is missing, from the draft, or else from their colour. Pages follow.
func TestBlursOfBefore(t *testing.T) {
	t.Parallel()
	st, path := pictureSite(t)
	stored, underived, drafted := st.ingest(t, 700, 500), st.ingest(t, 710, 500), st.ingest(t, 720, 500)
	lost := st.ingest(t, 730, 500)
	forget(t, path, underived.ID, 320)
	grey := image.NewGray(image.Rect(0, 0, 100, 60))
	if err := pictures.KeepDraft(t.Context(), st.pictures, drafted.ID, grey); err != nil {
		t.Fatal(err)
	}
	photo := map[string]int64{}
	for _, im := range []pictures.Image{stored, underived, drafted, lost} {
		photo[im.ID] = st.post(t, im)
	}
	if err := st.pictures.Delete(t.Context(), lost.ID); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".320.jpg", ".640.jpg", ".1280.jpg"} { // all but the draft
		removeFile(t, path, drafted.ID, name)
	}
	st.exec(t, "UPDATE images SET color = x'c03a30'::integer")
	first := st.start(t, nil)
	eventually(t, 20*time.Second, func() error {
		if n := st.scalar(t, "SELECT count(*) FROM photos WHERE color < 1 << 30"); n != 0 {
			return fmt.Errorf("%d photos have no blur", n)
		}
		return nil
	})
	for name, c := range map[string]struct {
		image string
		want  uint32
	}{
		"stored": {stored.ID, st.blurOfFile(t, stored.ID)}, "underived": {underived.ID, st.blurOfFile(t, underived.ID)},
		"a draft that is black": {drafted.ID, pictures.Flat(0)}, "lost": {lost.ID, pictures.Flat(0xc03a30)},
	} {
		got := uint32(st.scalar(t, fmt.Sprintf("SELECT color FROM photos WHERE id = %d", photo[c.image])))
		if got != c.want {
			t.Errorf("%s: %x, want %x", name, got, c.want)
		}
	}
	shown := string(st.get(t, page.Photo(photo[lost.ID])).Body)
	if !strings.Contains(shown, ` an bn cn dn en fn"`) { // #c33
		t.Errorf("the page shows %s", regexp.MustCompile(`class="[xyz][^"]*"`).FindString(shown))
	}
	first.stop()
	st.exec(t, "UPDATE images SET color = 255 WHERE id = '"+stored.ID+"'")
	st.start(t, nil)
	eventually(t, 20*time.Second, func() error {
		if st.scalar(t, "SELECT count(*) FROM images WHERE color < 1 << 30") != 0 {
			return fmt.Errorf("the next renderer does not go on")
		}
		return nil
	})
}

// blurOfFile is the blur of the smallest derivative that is stored.
func (st *site) blurOfFile(t *testing.T, image string) uint32 {
	t.Helper()
	jpeg, err := pictures.Stored(t.Context(), st.pictures, image, 320)
	if err != nil {
		t.Fatal(err)
	}
	blur, err := pictures.BlurOf(jpeg)
	if err != nil {
		t.Fatal(err)
	}
	return blur
}

// TestBlurRules: the style sheet has the colours of the palette.
func TestBlurRules(t *testing.T) {
	t.Parallel()
	assets, err := templates.LoadAssets()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := page.ParsePath(assets.Path("blur.css"))
	if err != nil {
		t.Fatal(err)
	}
	style, _ := assets.Get(ref.Name())
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for i, c := range pictures.Palette {
		for letter := 'a'; letter <= 'f'; letter++ {
			rule := fmt.Sprintf(".%c%c{--%c:#%03x}", letter, digits[i], letter, c)
			if i == 0 {
				rule = fmt.Sprintf("var(--%c,#%03x)", letter, c)
			}
			if !bytes.Contains(style.Body, []byte(rule)) {
				t.Errorf("there is no %s", rule)
			}
		}
	}
}
