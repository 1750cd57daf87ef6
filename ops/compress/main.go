// Command compress compresses the style sheets and scripts of pages, so that no renderer does. Run it from the root of
// the repository after a change of one of them: go run ./ops/compress.
//
// **Input**: the static files of package templates. **Output**: templates/compressed/NAME.{br,gz}, which are committed;
// what is there for another version of a file is removed. **Must not touch**: anything else.
package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/andybalholm/brotli"

	"flickrkillr/templates"
)

const folder = "templates/compressed"

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	assets, err := templates.LoadAssets()
	if err != nil {
		return err
	}
	before, err := filepath.Glob(folder + "/*.*.*.??")
	if err != nil {
		return err
	}
	for _, path := range before {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, name := range assets.Names() {
		asset, _ := assets.Get(name)
		if asset.Type == "image/png" { // it is compressed as it is
			continue
		}
		for extension, open := range map[string]func(io.Writer) (io.WriteCloser, error){
			templates.Br: brotliWriter, templates.Gzip: gzipWriter,
		} {
			compressed, err := compress(asset.Body, open)
			if err != nil {
				return err
			}
			if len(compressed) >= len(asset.Body) {
				continue
			}
			if err := os.WriteFile(filepath.Join(folder, name+extension), compressed, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func brotliWriter(w io.Writer) (io.WriteCloser, error) {
	return brotli.NewWriterLevel(w, brotli.BestCompression), nil
}

func gzipWriter(w io.Writer) (io.WriteCloser, error) {
	return gzip.NewWriterLevel(w, gzip.BestCompression)
}

func compress(body []byte, open func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
