package renderer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// receiptOf reads the receipt that a form has led to.
func (m *member) receiptOf(reply *nats.Msg) (r templates.PhotoReceipt, err error) {
	m.t.Helper()
	if err := wire.ErrorOf(reply); err != nil {
		m.t.Fatal(err)
	}
	answer, err := m.ask(page.PrivateRef{Private: page.PrivatePhotoReceipt}, wire.PrivateRequest{JSON: true,
		Values: url.Values{"id": {reply.Header.Get(wire.HeaderReceipt)}}})
	if err == nil {
		err = json.Unmarshal(answer.Body, &r)
	}
	return r, err
}

// TestPhotosForGood: whoever empties their bin gets a receipt that says when the files of the photos were gone from the
// disk, and how much that has freed; they are gone then. Edges are asked about photos that were public.
func TestPhotosForGood(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.listEdges(t)
	questions := make(chan wire.GoneQuestion, 100)
	knows := time.UnixMicro(time.Now().UnixMicro())
	st.edgeKnows(t, "edge.a.1", func(question wire.GoneQuestion) time.Time {
		questions <- question
		return knows
	})
	const count = 120 // more than one call removes
	small := landscape(t, 40, 30)
	ids := make([]string, count)
	files, size := 0, int64(0)
	for i := range ids {
		ids[i] = strings.Repeat("a", 20) + strings.NewReplacer("0", "k", "1", "l", "8", "m", "9", "n").
			Replace(fmt.Sprintf("%06d", i))
		_, err := pictures.IngestAs(t.Context(), st.pictures, ids[i], bytes.NewReader(small), pictures.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		n, b, err := st.pictures.Size(t.Context(), ids[i])
		if err != nil || n < 2 {
			t.Fatal(n, err)
		}
		files, size = files+n, size+b
		st.exec(t, "INSERT INTO images (id, bytes, width, height, color) VALUES ('"+ids[i]+"', 9, 40, 30, 255)")
		st.exec(t, "INSERT INTO photos (user_id, image_id, width, height, color) VALUES (1, '"+ids[i]+
			"', 40, 30, 255)")
	}
	st.exec(t, "UPDATE photos SET private = true, private_before = private, binned_at = now() WHERE width = 40")
	st.start(t, nil)
	ansel, dorothea := &member{t: t, st: st, user: 1}, &member{t: t, st: st, user: 2}

	bin, err := ansel.ask(page.PrivateRef{Private: page.PrivateBin}, wire.PrivateRequest{JSON: true})
	var has struct {
		Count  int
		Seen   string
		Photos []struct{ ID int64 }
	}
	err = errors.Join(err, json.Unmarshal(bin.Body, &has))
	if err != nil || has.Count != count || len(has.Photos) != 48 {
		t.Fatalf("the bin as JSON: %+v, %v", has, err)
	}
	emptied := ansel.do(wire.ActionOwnBin, "empty", "do", "empty", "seen", has.Seen)
	var r templates.PhotoReceipt
	testenv.Eventually(t, "the receipt is complete", func() bool {
		if r, err = ansel.receiptOf(emptied); err != nil {
			t.Fatal(err)
		}
		return r.Complete
	})
	if r.Photos != count || r.Files != count || r.FilesRemoved != count || r.FreedFiles != files ||
		r.FreedBytes != size || len(r.IDs) != count || r.FilesGoneAt.Before(r.DeletedAt) || len(r.Edges) != 1 ||
		!r.Edges[0].Since.Equal(knows) {
		t.Errorf("%+v; want %d files of %d bytes", r, files, size)
	}
	for _, id := range ids {
		if n, _, err := st.pictures.Size(t.Context(), id); n != 0 || err != nil {
			t.Errorf("%s has %d files, %v", id, n, err)
		}
	}
	question := <-questions
	if question.Scope != "user.ansel" || question.Version != r.Version || !question.At.Equal(r.HiddenAt) {
		t.Errorf("edges are asked %+v", question)
	}
	if again := ansel.do(wire.ActionOwnBin, "empty", "do", "empty", "seen", has.Seen); again.Header.Get(
		wire.HeaderReceipt) != fmt.Sprint(r.ID) {
		t.Errorf("sent again it leads to %q", again.Header.Get(wire.HeaderReceipt))
	}
	if _, err := dorothea.receiptOf(emptied); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("somebody else reads the receipt: %v", err)
	}
	for _, id := range []string{"", "x", "0", "999999"} {
		if _, err := ansel.ask(page.PrivateRef{Private: page.PrivatePhotoReceipt}, wire.PrivateRequest{
			Values: url.Values{"id": {id}}}); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("receipt %q: %v", id, err)
		}
	}
	if none := ansel.do(wire.ActionOwnBin, "none", "do", "empty", "seen", has.Seen); wire.ErrorOf(none) != nil ||
		none.Header.Get(wire.HeaderReceipt) != "" {
		t.Errorf("of an empty bin: %v, receipt %q", wire.ErrorOf(none), none.Header.Get(wire.HeaderReceipt))
	}
	_, reply := ansel.list(page.PrivateBin)
	if !bytes.Contains(reply.Body, fmt.Appendf(nil, "/me/receipt?id=%d", r.ID)) {
		t.Error("the page of the bin has no link to the receipt")
	}
}
