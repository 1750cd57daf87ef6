package renderer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestAssets(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	index := strings.Fields(string(st.request(t, wire.SubjectAssets).Data))
	offered := map[string]bool{}
	for _, subject := range index {
		offered[subject] = true
		ref, err := page.ParseSubject(subject)
		if err != nil {
			t.Fatal(err)
		}
		asset, ok := s.cfg.Assets.Get(ref.Name())
		if !ok {
			t.Fatalf("the index names %s, which is no asset", subject)
		}
		reply := st.get(t, ref)
		if !bytes.Equal(plain(t, reply), asset.Body) || reply.ContentType != asset.Type {
			t.Errorf("%s: another body, or type %q", subject, reply.ContentType)
		}
		if reply.Status != 200 || !reply.Immutable || reply.MaxAge != wire.FixedAge || reply.ETag == "" {
			t.Errorf("%s: status %d, immutable %t, age %s, etag %q", subject, reply.Status, reply.Immutable,
				reply.MaxAge, reply.ETag)
		}
	}
	for _, name := range s.cfg.Assets.Names() {
		if !offered[page.Asset(name).Subject()] {
			t.Errorf("the index lacks %s", name)
		}
	}
	// Another version's asset: nobody subscribes to it, and the bus says so without a wait.
	if _, err := st.nc.Request(page.Asset("app.00000000.css").Subject(), nil, 5*time.Second); !errors.Is(err,
		nats.ErrNoResponders) {
		t.Errorf("an asset that nobody has: %v", err)
	}
}

func plain(t *testing.T, reply *wire.Reply) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(reply.Body)
	switch reply.Encoding {
	case "br":
		r = brotli.NewReader(r)
	case "gzip":
		var err error
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
