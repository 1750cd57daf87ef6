package templates

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"flickrkillr/schema/page"
)

func TestAssets(t *testing.T) {
	t.Parallel()
	a := testSite(t).Assets
	if len(a.Names()) != 16 {
		t.Errorf("names %v", a.Names())
	}
	for _, name := range a.Names() {
		asset, ok := a.Get(name)
		if !ok || asset.Name != name || asset.Type == "" || len(asset.Body) == 0 {
			t.Fatalf("%s: %v %+v", name, ok, asset)
		}
		parts := strings.Split(name, ".")
		sum := sha256.Sum256(asset.Body)
		if len(parts) != 3 || parts[1] != hex.EncodeToString(sum[:4]) {
			t.Errorf("%s does not name its contents", name)
		}
		path := a.Path(parts[0] + "." + parts[2])
		if ref, err := page.ParsePath(path); err != nil || ref != page.Asset(name) {
			t.Errorf("%s: %v, %v", path, ref, err)
		}
		if asset.Type == "image/png" {
			if asset.Br != nil || asset.Gzip != nil {
				t.Errorf("%s is compressed twice", name)
			}
			continue
		}
		unpacks(t, name, asset.Br, asset.Body, func(r io.Reader) (io.Reader, error) {
			return brotli.NewReader(r), nil
		})
		unpacks(t, name, asset.Gzip, asset.Body, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
	}
	files, err := compressed.ReadDir("compressed")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := a.Get(strings.TrimSuffix(strings.TrimSuffix(f.Name(), Br), Gzip)); !ok {
			t.Errorf("%s is of another version: go run ./ops/compress", f.Name())
		}
	}
	if _, ok := a.Get("app.00000000.css"); ok {
		t.Error("an asset that is not there")
	}
	if a.Path("nothing.css") != "" {
		t.Error("a path to nothing")
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	for _, c := range [...]struct{ extension, source, want string }{
		{".css", "/* a\n b */\n.x { y: z; } /* c */\n\n\t.d > e :is(f,\n g) {}", ".x{y:z}.d>e :is(f,g){}"},
		{".css", "@media (a: b) {\n\t:root { --c: calc(1px + 2px); content: \"; b\"; }\n}\n",
			"@media (a:b){:root{--c:calc(1px + 2px);content:\"; b\"}}"},
		{".js", "// a\n\tconst a = '/ = b';\n\n\tif (a < 2) { b(`${a} = c`, /* d */ e - 1); }\n\t// f\n",
			"const a='/ = b';\nif(a<2){b(`${a} = c`,e - 1);}\n"},
		{".svg", "<svg/>", "<svg/>\n"},
		{".css", "", ""},
	} {
		if got := string(compact([]byte(c.source), c.extension)); got != c.want {
			t.Errorf("%q became %q, want %q", c.source, got, c.want)
		}
	}
}

// unpacks: a variant is smaller than the file and becomes the file again.
func unpacks(t *testing.T, name string, packed, body []byte, open func(io.Reader) (io.Reader, error)) {
	t.Helper()
	if packed == nil {
		if len(body) > 1000 {
			t.Errorf("%s is not compressed: go run ./ops/compress", name)
		}
		return
	}
	r, err := open(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, body) || len(packed) >= len(body) {
		t.Errorf("%s unpacks to %d bytes of %d: %v", name, len(got), len(body), err)
	}
}

// The style sheet and the script fetch nothing and need no permission beyond the site's Content-Security-Policy.
func TestAssetsStayAtHome(t *testing.T) {
	t.Parallel()
	site := testSite(t)
	script := []string{"http:", "https:", "innerHTML", "eval(", "document.write", "setAttribute('style'",
		"insertAdjacentHTML"}
	style := []string{"url(", "@import", "http:", "https:", "!important"}
	for file, banned := range map[string][]string{
		"app.css": style, "app.js": script, "passkey.js": script, "organise.css": style, "organise.js": script,
		"upload.css": style, "upload.js": script, "albums.css": style, "albums.js": script,
		"archive.css": style, "archive.js": script,
	} {
		body := site.asset(t, file).Body
		for _, word := range banned {
			if bytes.Contains(body, []byte(word)) {
				t.Errorf("%s has %q", file, word)
			}
		}
	}
}
