package ladder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/templates"
)

// pictureLinks matches the addresses of the pictures in a page.
var pictureLinks = regexp.MustCompile(`/img/[^"' ,]+\.jpg`)

// picturesOf lists the pictures that a page links to, each in each offered width.
func picturesOf(body []byte) (refs []page.Ref, err error) {
	links := pictureLinks.FindAll(body, -1)
	slices.SortFunc(links, bytes.Compare)
	for _, link := range slices.CompactFunc(links, bytes.Equal) {
		ref, err := page.ParsePath(string(link))
		if err != nil {
			return nil, fmt.Errorf("picture %s: %w", link, err)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// prepare writes static files and pictures to dir, with the names of their paths. images[i] is the original of refs[i].
// In 2007 that was done when a photo was uploaded.
func prepare(ctx context.Context, dir string, refs []page.Ref, images []string, originals pictures.Store) error {
	assets, err := templates.LoadAssets()
	if err != nil {
		return err
	}
	for _, name := range assets.Names() {
		asset, _ := assets.Get(name) // Names has listed it
		if err := writeFile(dir, page.Asset(name), asset.Body); err != nil {
			return err
		}
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(2) // each one holds a decoded original in memory
	for i, ref := range refs {
		work.Go(func() error {
			jpeg, err := pictures.Derive(ctx, originals, images[i], ref.Width())
			if err != nil {
				return fmt.Errorf("prepare %s: %w", ref.Path(), err)
			}
			return writeFile(dir, ref, jpeg)
		})
	}
	return work.Wait()
}

// check requests the page and every file once, and compares the files with those that were made beforehand. So every
// rung is known to serve all of them before it is measured.
func (c *climb) check(ctx context.Context, url string) (served Served, err error) {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	body, err := fetch(ctx, client, url+c.page)
	if err != nil {
		return served, err
	}
	served.Page = checksum(body)
	root := os.DirFS(c.files)
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		want, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		got, err := fetch(ctx, client, url+"/"+name)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf(
				"%s/%s: %d bytes that are not those of the file, which has %d", url, name, len(got), len(want),
			)
		}
		served.Files++
		return err
	})
	return served, err
}

// checksum identifies a page.
func checksum(body []byte) string { return fmt.Sprintf("%x", sha256.Sum256(body)) }

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %s", url, resp.Status)
	}
	return body, err
}

func writeFile(dir string, ref page.Ref, body []byte) error {
	name := filepath.Join(dir, filepath.FromSlash(ref.Path()))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, body, 0o644)
}
