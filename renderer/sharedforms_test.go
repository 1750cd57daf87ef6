package renderer

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/wire"
)

// TestSharedForms: forms and refusals are remembered, and only one is made at a time.
func TestSharedForms(t *testing.T) {
	t.Parallel()
	store, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	open := func(data []byte) (string, *pictures.Original) {
		id := pictures.ID(data)
		if err := store.Put(t.Context(), id, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		original, err := pictures.OpenOriginal(t.Context(), store, id)
		if err != nil {
			t.Fatal(err)
		}
		return id, original
	}
	picture, good := open(landscape(t, 90, 60))
	broken, bad := open(landscape(t, 120, 60)[:500])
	defer good.Close()
	forms := newSharedForms()
	form, err := forms.of(picture, good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forms.of(broken, bad); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a file without a form: %v", err)
	}
	if err := bad.Close(); err != nil { // what is remembered needs no file
		t.Fatal(err)
	}
	if _, err := forms.of(broken, bad); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("once more: %v", err)
	}
	other, third := open(landscape(t, 150, 60))
	defer third.Close()
	forms.making.Lock()
	if again, err := forms.of(picture, good); again != form || err != nil {
		t.Errorf("a form that is known while another is made: %v", err)
	}
	if _, err := forms.of(other, third); !errors.Is(err, wire.ErrBusy) {
		t.Errorf("a second form while one is made: %v", err)
	}
	forms.making.Unlock()
	if _, err := forms.of(other, third); err != nil {
		t.Error(err)
	}
}

// TestSharedNames: the name of what others get follows from the site's key, not from the hidden bytes alone.
func TestSharedNames(t *testing.T) {
	t.Parallel()
	const id = "0123456789abcdef"
	names := map[string]bool{}
	for _, key := range []string{"a", "b"} {
		forms := newSharedForms()
		if err := forms.setKey([]byte(strings.Repeat(key, 32))); err != nil {
			t.Fatal(err)
		}
		name := forms.name(id)
		if strings.Contains(name, id) || name != forms.name(id) || name == forms.name(id+"0") || len(name) != 32 {
			t.Errorf("%s is called %s", id, name)
		}
		names[name] = true
	}
	if len(names) != 2 {
		t.Errorf("two sites have the names %v", names)
	}
}
