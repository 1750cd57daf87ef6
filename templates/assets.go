package templates

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"flickrkillr/schema/page"
)

//go:embed static
var static embed.FS

// compressed has the compressed forms of static files: their hashed names, and then Br or Gzip. go run ./ops/compress
// makes them. A renderer that compressed what is requested made the first visitors of a new version wait.
//
//go:embed compressed
var compressed embed.FS

// Br and Gzip end the names of compressed files.
const (
	Br   = ".br"
	Gzip = ".gz"
)

// Asset is a static file under its content-hashed name, such as "app.3f2a1b0c.css".
type Asset struct {
	Name string
	Type string // for the Content-Type header
	Body []byte

	// The compressed forms: brotli at level 11 and gzip at level 9. Each is nil when it is no smaller than Body.
	Br, Gzip []byte
}

// Assets are the static files of this version of the site. They do not change once loaded.
type Assets struct {
	byName map[string]Asset
	paths  map[string]string // "app.css" -> "/static/app.3f2a1b0c.css"
}

// contentType is the MIME type for the extension of a static file; false for one that must not be in the folder.
func contentType(extension string) (string, bool) {
	switch extension {
	case ".css":
		return "text/css; charset=utf-8", true
	case ".js":
		return "text/javascript; charset=utf-8", true
	case ".svg":
		return "image/svg+xml", true
	case ".png":
		return "image/png", true
	}
	return "", false
}

// LoadAssets reads the embedded files, and names each after the first 8 hex digits of its SHA-256.
func LoadAssets() (*Assets, error) {
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		return nil, fmt.Errorf("list static files: %w", err)
	}
	a := &Assets{byName: map[string]Asset{}, paths: map[string]string{}}
	for _, e := range entries {
		asset, err := loadAsset(e.Name())
		if err != nil {
			return nil, fmt.Errorf("load static/%s: %w", e.Name(), err)
		}
		a.byName[asset.Name] = asset
		a.paths[e.Name()] = page.Asset(asset.Name).Path()
	}
	return a, nil
}

func loadAsset(file string) (Asset, error) {
	body, err := static.ReadFile(path.Join("static", file))
	if err != nil {
		return Asset{}, err
	}
	extension := path.Ext(file)
	body = compact(body, extension)
	kind, ok := contentType(extension)
	if !ok {
		return Asset{}, fmt.Errorf("no content type for %q", extension)
	}
	sum := sha256.Sum256(body)
	name := file[:len(file)-len(extension)] + "." + hex.EncodeToString(sum[:4]) + extension
	a := Asset{Name: name, Type: kind, Body: body}
	for end, form := range map[string]*[]byte{Br: &a.Br, Gzip: &a.Gzip} {
		*form, err = compressed.ReadFile("compressed/" + name + end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Asset{}, err
		}
	}
	return a, nil
}

// compact removes what only readers of the source need: comments, indentation, empty lines, and spaces beside
// punctuation. It handles only what these files contain: each comment of a script is on its own line, and neither
// template strings nor patterns contain each other's quotes. It takes about 100 us, so even a process that makes one
// page can afford it.
func compact(source []byte, extension string) []byte {
	if extension == ".png" {
		return source
	}
	kept := make([]byte, 0, len(source))
	for line := range bytes.Lines(source) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			kept = append(append(kept, line...), '\n')
		}
	}
	switch extension {
	case ".css":
		kept = squeeze(bytes.ReplaceAll(withoutComments(kept), []byte("\n"), []byte(" ")), "{};:,>/ ", "{};>/")
		return bytes.ReplaceAll(kept, []byte(";}"), []byte("}"))
	case ".js":
		return squeeze(withoutComments(kept), "{}()[];,=<>?:&|!", "{}()[];,=<>?:&|!")
	}
	return kept
}

// withoutComments removes /* comments */.
func withoutComments(source []byte) []byte {
	kept := make([]byte, 0, len(source))
	for {
		before, after, found := bytes.Cut(source, []byte("/*"))
		kept = append(kept, before...)
		if !found {
			return kept
		}
		_, source, _ = bytes.Cut(after, []byte("*/"))
	}
}

// squeeze removes spaces directly before or after certain bytes, except within quotes.
func squeeze(source []byte, after, before string) []byte {
	kept := make([]byte, 0, len(source))
	var quote byte
	for i, c := range source {
		switch {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		case quote == 0 && c == ' ':
			last := len(kept) - 1
			if last < 0 || strings.IndexByte(after, kept[last]) >= 0 || i+1 < len(source) &&
				strings.IndexByte(before, source[i+1]) >= 0 {
				continue
			}
		}
		kept = append(kept, c)
	}
	return kept
}

// Path is the address of a file by its plain name: "app.css" is at "/static/app.3f2a1b0c.css"; "" for a file that
// does not exist.
func (a *Assets) Path(file string) string { return a.paths[file] }

// Get finds an asset by its hashed name. The caller may not change its bytes.
func (a *Assets) Get(name string) (Asset, bool) {
	asset, ok := a.byName[name]
	return asset, ok
}

// Names lists the hashed names, sorted.
func (a *Assets) Names() []string {
	names := make([]string, 0, len(a.byName))
	for name := range a.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
