package seed

import (
	"runtime"
	"slices"
	"sync"

	"flickrkillr/ops/seed/landscape"
	"flickrkillr/renderer/pictures"
)

// picture is one original: what rows say of it, and what it shows.
type picture struct {
	order
	width, height int
	color         uint32 // Its blur, see pictures.Blur.
	scene         string
	light         landscape.Light
	mono          bool
	subjects      []string
}

// gallery is all originals, indexed by what they show.
type gallery struct {
	all     []picture
	scenes  []string // Those there are pictures of, the most first.
	byScene map[string][]int32
}

// sketchLong is the size of a sketch in pixels: enough to find the blur and the subjects of a picture.
const sketchLong = 96

// sketch finds out what rows say of the pictures of an album before they are painted. The album was made of seed, for
// size pixels. Sketches of a smaller album would have another land, and blurs that do not look like the pictures.
func sketch(album *landscape.Album, seed uint64, size int) *gallery {
	g := &gallery{all: make([]picture, album.Len()), byScene: map[string][]int32{}}
	var sketching sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for first := range workers {
		sketching.Go(func() {
			for i := first; i < len(g.all); i += workers {
				painted := album.PaintAt(i, sketchLong)
				g.all[i] = picture{
					order: order{albumKey: albumKey{seed, size}, index: i}, color: pictures.Blur(painted.Image),
					scene: string(painted.Scene), light: painted.Light, mono: painted.Mono, subjects: painted.Subjects,
				}
			}
		})
	}
	sketching.Wait()
	for i := range g.all {
		p := &g.all[i]
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

// choose returns the index of the picture of a user's nth photo of a scene. It steps through all pictures of the scene,
// with a start and step given by key, so that none is repeated before all were used.
func (g *gallery) choose(scene string, key uint64, nth int) int32 {
	list := g.byScene[scene]
	n := uint64(len(list))
	pace := [...]uint64{1, 7, 11, 13, 17, 19}[key>>32%6]
	if n%pace == 0 {
		pace = 1
	}
	return list[(key%n+uint64(nth)*pace)%n]
}
