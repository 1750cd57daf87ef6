package ladder

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/templates"
)

// pictureLinks finds the addresses of the pictures in a page.
var pictureLinks = regexp.MustCompile(`/img/[^"' ,]+\.jpg`)

// prepare makes the files that a page needs, as files in dir named as visitors ask for them: static files, and each picture in each width
// that the page offers. In 2007 that was done when a photo was uploaded.
func prepare(ctx context.Context, dir string, body []byte, originals pictures.Store) error {
	assets, err := templates.LoadAssets()
	if err != nil {
		return err
	}
	for _, name := range assets.Names() {
		asset, _ := assets.Get(name) // it has just been named
		if err := writeFile(dir, page.Asset(name), asset.Body); err != nil {
			return err
		}
	}
	links := pictureLinks.FindAll(body, -1)
	slices.SortFunc(links, bytes.Compare)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(2) // each holds a decoded original
	for _, link := range slices.CompactFunc(links, bytes.Equal) {
		ref, err := page.ParsePath(string(link))
		if err != nil {
			return fmt.Errorf("prepare %s: %w", link, err)
		}
		work.Go(func() error {
			jpeg, err := pictures.Derive(ctx, originals, ref.Name(), ref.Width())
			if err != nil {
				return fmt.Errorf("prepare %s: %w", ref.Path(), err)
			}
			return writeFile(dir, ref, jpeg)
		})
	}
	return work.Wait()
}

func writeFile(dir string, ref page.Ref, body []byte) error {
	name := filepath.Join(dir, filepath.FromSlash(ref.Path()))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}
