package seed

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/seed/landscape"
	"flickrkillr/renderer/pictures"
)

// picture is an original in the store and what it shows.
type picture struct {
	pictures.Image
	scene    string
	light    landscape.Light
	mono     bool
	subjects []string
}

// gallery is all originals, to be found by what they show.
type gallery struct {
	all     []picture
	scenes  []string // Those there are pictures of, the most first.
	byScene map[string][]int32
}

// originalQuality is what photographers export at.
const originalQuality = 90

// sketch says what each picture of an album will be of before it is painted. Only blossom has to be looked at: it may be autumn leaves.
func sketch(album *landscape.Album) *gallery {
	const long = 24 // Pixels: to see that, a moment's work.
	all := make([]picture, album.Len())
	for i := range all {
		all[i].scene = string(album.Scene(i))
		if all[i].scene == "blossom" {
			all[i].subjects = album.PaintAt(i, long).Subjects
		}
	}
	return newGallery(all)
}

// drawPictures paints an album, and puts its pictures into the store the way an upload goes. long gives the pixels on the long side of each.
// Several are in work at once, one a processor; done is called after each, from any of them.
func drawPictures(ctx context.Context, store pictures.Store, album *landscape.Album, long func(i int) int, done func()) (*gallery, error) {
	count := album.Len()
	all := make([]picture, count)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), count) {
		group.Go(func() error {
			var file bytes.Buffer
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= count {
					return nil
				}
				painted := album.PaintAt(i, long(i))
				file.Reset()
				if err := jpeg.Encode(&file, painted.Image, &jpeg.Options{Quality: originalQuality}); err != nil {
					return fmt.Errorf("encode picture %d: %w", i, err)
				}
				img, err := pictures.Ingest(ctx, store, bytes.NewReader(file.Bytes()), pictures.Limits{})
				if err != nil {
					return fmt.Errorf("store picture %d: %w", i, err)
				}
				all[i] = picture{Image: img, scene: string(painted.Scene), light: painted.Light, mono: painted.Mono, subjects: painted.Subjects}
				done()
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return newGallery(all), nil
}

func newGallery(all []picture) *gallery {
	g := &gallery{all: all, byScene: map[string][]int32{}}
	for i := range all {
		p := &all[i]
		if p.scene == "blossom" && slices.Contains(p.subjects, "autumn") {
			p.scene = "autumn leaves"
		}
		if g.byScene[p.scene] == nil {
			g.scenes = append(g.scenes, p.scene)
		}
		g.byScene[p.scene] = append(g.byScene[p.scene], int32(i))
	}
	slices.SortStableFunc(g.scenes, func(a, b string) int { return len(g.byScene[b]) - len(g.byScene[a]) })
	return g
}

// choose gives the index of the picture for a user's nth photo of a scene: a walk through all of the scene's, begun and paced by
// key, so that none comes twice before all were seen.
func (g *gallery) choose(scene string, key uint64, nth int) int32 {
	list := g.byScene[scene]
	n := uint64(len(list))
	pace := [...]uint64{1, 7, 11, 13, 17, 19}[key>>32%6]
	if n%pace == 0 {
		pace = 1
	}
	return list[(key%n+uint64(nth)*pace)%n]
}
