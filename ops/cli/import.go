package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/photoimport"
	"flickrkillr/schema/wire"
)

type importCommand struct {
	tokenFlags
	Parallel int      `default:"4" min:"1" max:"16" placeholder:"N" help:"Files to send at once (default ${default})."`
	Paths    []string `arg:"" type:"path" help:"Zip files of /me/takeout or of a Flickr export, or folders with them, packed or not."`
}

// Run imports photos and albums. What is there is not made again, so it may be run again after a break.
func (c *importCommand) Run(s *session) error {
	edge, err := c.open(s)
	if err != nil {
		return err
	}
	kept, err := edge.kept()
	if err != nil {
		return err
	}
	plan, err := photoimport.Read(c.Paths)
	if err != nil {
		return err
	}
	defer plan.Close()
	size := int64(0)
	for _, photo := range plan.Photos {
		size += photo.Size
	}
	u := &uploader{url: edge.url, token: kept.Token, client: uploadClient(edge.client),
		progress: newUploadProgress(s.stderr, s.log, len(plan.Photos), size)}
	defer u.client.CloseIdleConnections()
	i := &importer{uploader: u, api: ownAPI{edge, kept.Token}, photos: map[string]int64{}}
	for _, problem := range plan.Problems {
		i.results = append(i.results, uploadResult{path: problem.Name, err: problem.Err})
	}
	var group errgroup.Group
	group.SetLimit(c.Parallel)
	for n := range plan.Photos {
		group.Go(func() error {
			if s.ctx.Err() == nil {
				i.photo(s.ctx, &plan.Photos[n])
			}
			return nil
		})
	}
	_ = group.Wait() // no function returns an error
	u.progress.end()
	albums := 0
	for n := range plan.Albums {
		if s.ctx.Err() != nil {
			break
		}
		album := &plan.Albums[n]
		if err := i.album(s.ctx, album); err != nil {
			i.results = append(i.results, uploadResult{path: "album " + strconv.Quote(album.Title), err: err})
			continue
		}
		albums++
	}
	return i.report(s, albums)
}

// importer imports one plan.
type importer struct {
	*uploader
	api ownAPI

	lock   sync.Mutex
	notes  []string         // what was left out
	photos map[string]int64 // by photoimport.Photo.Ref
}

// photo uploads a photo and writes what is known about it.
func (i *importer) photo(ctx context.Context, p *photoimport.Photo) {
	result := uploadResult{path: p.Name}
	var file photoimport.File
	err := errTooLarge
	if p.Size <= wire.MaxUpload {
		file, err = p.Open()
	}
	if err == nil {
		result = i.sendFile(ctx, p.Name, &fileUpload{uploader: i.uploader, file: file, name: uploadName(p),
			size: p.Size, visibility: hiddenUnlessPublic(p.Visibility), key: importKey(p)})
		err = errors.Join(result.err, file.Close())
	}
	var id int64
	if err == nil {
		if id, err = strconv.ParseInt(path.Base(result.photo), 10, 64); err != nil {
			err = fmt.Errorf("%s names no photo: %q", i.url, result.photo)
		}
	}
	if err == nil {
		err = i.describe(ctx, id, p, result.duplicate)
	}
	result.err = err
	i.done(result)
	i.lock.Lock()
	defer i.lock.Unlock()
	if err == nil {
		i.photos[p.Ref] = id
		for _, note := range p.Notes {
			i.notes = append(i.notes, p.Name+": "+note)
		}
	}
}

// hiddenUnlessPublic is what a photo is uploaded as before its visibility is written: nobody sees more for a moment.
func hiddenUnlessPublic(visibility string) string {
	if visibility == "public" {
		return visibility
	}
	return "private"
}

var errTooLarge = fmt.Errorf("the file is larger than %d MiB", wire.MaxUpload>>20)

// uploadName is the name that a file is uploaded by: its photo gets the right title from it, if its file has none.
func uploadName(p *photoimport.Photo) string {
	const limit = 255 // bytes
	title, extension := strings.NewReplacer("/", "-", `\`, "-").Replace(p.Title), path.Ext(p.Name)
	if len(extension) > limit {
		extension = ""
	}
	title = title[:min(len(title), limit-len(extension))]
	return strings.ToValidUTF8(title, "") + extension
}

// importKey names the upload of a photo, the same in each run.
func importKey(p *photoimport.Photo) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "import %q %q %d %s %s", p.ID, p.Name, p.Size, p.Visibility, p.Sum()))
	return hex.EncodeToString(sum[:])
}

// describe writes what is known about a photo. Of one that was there before it fills what is empty, or as an upload
// leaves it, so a run that was cut short is completed, and what the owner has changed since stays.
func (i *importer) describe(ctx context.Context, id int64, p *photoimport.Photo, before bool) error {
	now, err := i.api.photo(ctx, id)
	if err != nil {
		return fmt.Errorf("it is uploaded, but not described: %w", err)
	}
	uploaded := strings.TrimSuffix(uploadName(p), path.Ext(p.Name))
	blank := now.Description == "" && len(now.Tags) == 0 && (now.Title == p.Title || now.Title == uploaded)
	form := map[string]string{}
	set := func(field, is, wanted string, may bool) {
		if may && wanted != "" && wanted != is {
			form[field] = wanted
		}
	}
	download := "owner"
	if p.Download {
		download = "everybody"
	}
	set("title", now.Title, p.Title, !before || now.Title == uploaded || now.Title == "")
	set("description", now.Description, p.Description, !before || now.Description == "")
	set("tags", strings.Join(now.Tags, ", "), strings.Join(p.Tags, ", "), !before || len(now.Tags) == 0)
	set("taken", now.Taken, p.Taken, !before || now.Taken == "" || blank)
	// Who may see and download a photo that was there is up to its owner: it may be hidden since.
	set("visibility", now.Visibility, p.Visibility, !before)
	set("licence", now.Licence, p.Licence, !before)
	set("download", now.Download, download, !before)
	if len(form) == 0 {
		return nil
	}
	if err := i.api.editPhoto(ctx, id, form); err != nil {
		return fmt.Errorf("it is uploaded, but not described: %w", err)
	}
	return nil
}

// album makes an album and puts its photos into it, unless they are there.
func (i *importer) album(ctx context.Context, a *photoimport.Album) error {
	label := a.Title
	if a.Parent != "" {
		label = a.Parent + " / " + a.Title
	}
	err := i.api.makeAlbum(ctx, a.Title, a.Description, a.Parent, a.Visibility)
	if err == nil {
		err = i.api.showAlbum(ctx, a.Title, a.Parent, a.Visibility)
	}
	if err != nil {
		return err
	}
	var ids []string
	missing := 0
	for _, photo := range a.Photos {
		if id := i.photos[photo]; id != 0 {
			ids = append(ids, strconv.FormatInt(id, 10))
		} else if photo != "0" { // Flickr's for a photo that was deleted
			missing++
		}
	}
	if missing > 0 {
		i.notes = append(i.notes, fmt.Sprintf("album %q: %d of its photos were not imported", a.Title, missing))
	}
	if err := i.api.addToAlbum(ctx, label, ids); err != nil {
		return err
	}
	if cover := i.photos[a.Cover]; cover != 0 {
		return i.api.coverAlbum(ctx, a.Title, a.Parent, cover)
	}
	return nil
}

// report prints what became of the photos. Its error says that some failed.
func (i *importer) report(s *session, albums int) error {
	slices.SortFunc(i.results, func(a, b uploadResult) int { return cmp.Compare(a.path, b.path) })
	slices.Sort(i.notes)
	imported, had, failed := 0, 0, 0
	for _, r := range i.results {
		switch {
		case r.err != nil:
			failed++
			fmt.Fprintln(s.stderr, plainText(r.path+": "+r.err.Error()))
		case r.duplicate:
			had++
		default:
			imported++
		}
	}
	for _, note := range i.notes {
		fmt.Fprintln(s.stderr, plainText(note))
	}
	fmt.Fprintf(s.stdout, "%d imported, %d there before, %d failed, %d albums\n", imported, had, failed, albums)
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d were not imported: see above", failed)
	}
	return nil
}
