// Package landscape paints the photographs of the demonstration data: invented landscapes in various light.
//
// **Input**: a seed number and the number of pictures. **Output**: images, each with what it shows and in what light,
// so that titles and tags can be true. **Must not touch**: files, the network. It has no state but the seed's.
//
// The same seed gives the same pixels each time on the same kind of processor (Go may fuse multiplications and
// additions on others).
//
// Files:
//
//	landscape.go  Album: which pictures there are, and how one is painted
//	canvas.go     pixels in linear light, and shapes on them; film.go turns them into an image
//	noise.go      noise and random choices
//	sky.go        light, sun and clouds
//	heights.go    land as heights; terrain.go paints it in perspective; water.go: reflections
//	trees.go      skylines, trees and birds
//
// One file for each group of scenes: aloft.go, below.go, blossom.go, city.go, desert.go, fields.go, lake.go,
// mountains.go, night.go, ridges.go, sea.go, storm.go.
package landscape

import (
	"image"
	"math/rand/v2"
	"sync"
)

// Scene is a kind of picture.
type Scene string

// Picture is one painted landscape.
type Picture struct {
	Scene    Scene
	Light    Light
	Mono     bool     // Black and white.
	Subjects []string // Further things in it, in the words of a tag: "fog", "snow", "sailboat".
	Image    *image.RGBA
}

// family is how a scene is painted and framed.
type family struct {
	scene  Scene
	share  int // How many of a hundred pictures.
	paint  func(*painter)
	frames []frame
}

// frame is the shape of a picture, width by height.
type frame struct{ w, h int }

// families lists every scene.
func families() []family {
	wide := []frame{{3, 2}, {3, 2}, {3, 2}, {4, 3}, {16, 9}, {2, 1}, {5, 4}}
	return []family{
		{"mountains", 12, peaks, append(wide, frame{2, 3}, frame{4, 5}, frame{3, 1})},
		{"lake", 9, lake, append(wide, frame{2, 3}, frame{4, 5})},
		{"dunes", 6, dune, append(wide, frame{2, 3}, frame{1, 1})},
		{"canyon", 6, canyon, append(wide, frame{2, 3}, frame{4, 5})},
		{"hills", 8, ridges, append(wide, frame{2, 3}, frame{4, 5}, frame{3, 1})},
		{"forest", 7, conifers, append(wide, frame{2, 3}, frame{4, 5}, frame{1, 1})},
		{"sea", 11, sea, append(wide, frame{2, 3}, frame{1, 1}, frame{5, 2})},
		{"night", 7, night, append(wide, frame{2, 3}, frame{2, 3}, frame{4, 5})},
		{"aurora", 4, aurora, append(wide, frame{2, 3}, frame{4, 5})},
		{"city", 7, city, append(wide, frame{2, 3}, frame{5, 2})},
		{"storm", 4, storm, append(wide, frame{2, 3})},
		{"blossom", 5, blossom, append(wide, frame{2, 3}, frame{1, 1}, frame{4, 5})},
		{"underwater", 3, underwater, append(wide, frame{2, 3})},
		{"clouds", 5, aloft, append(wide, frame{2, 3}, frame{1, 1})},
		{"fields", 8, fields, append(wide, frame{4, 5}, frame{1, 1})},
	}
}

// Album paints the pictures of one seed number. Its methods are safe for concurrent use.
type Album struct {
	seed  uint64
	long  int
	order []family
	land  *land
	noise *noise
	spare sync.Pool // Canvases: 20 MB each, 50 for 2,560 pixels, and the system is slow to give memory out.
}

// NewAlbum prepares count pictures with long pixels on the long side.
func NewAlbum(seed uint64, count, long int) *Album {
	rng := rand.New(rand.NewPCG(seed, 0xa1b))
	side := extent
	switch { // In small pictures nobody will see that the land repeats.
	case long < 400:
		side = extent / 4
	case long < 800:
		side = extent / 2
	}
	a := &Album{seed: seed, long: long, land: newLand(seed, side), noise: newNoise(rng)}
	all := families()
	total := 0
	for _, f := range all {
		total += f.share
	}
	// Scenes are dealt like cards from a shuffled pack, so that any dozen in a row is mixed.
	for len(a.order) < count {
		var pack []family
		for _, f := range all {
			for range max(1, f.share*24/total) {
				pack = append(pack, f)
			}
		}
		rng.Shuffle(len(pack), func(i, j int) { pack[i], pack[j] = pack[j], pack[i] })
		a.order = append(a.order, pack...)
	}
	a.order = a.order[:count]
	return a
}

// Len is the number of pictures.
func (a *Album) Len() int { return len(a.order) }

// Scene is what picture i shows.
func (a *Album) Scene(i int) Scene { return a.order[i].scene }

// Paint paints picture i.
func (a *Album) Paint(i int) Picture { return a.PaintAt(i, a.long) }

// Size returns the width and height of picture i with long pixels on its long side.
func (a *Album) Size(i, long int) (w, h int) {
	_, shape := a.begin(i)
	return shape.size(long)
}

// begin returns the shape of picture i, and the random numbers after the one that chose it.
func (a *Album) begin(i int) (chance, frame) {
	ch := chance{rand.New(rand.NewPCG(a.seed, uint64(i)+1))}
	return ch, pick(ch, a.order[i].frames...)
}

func (f frame) size(long int) (w, h int) {
	if f.w >= f.h {
		return long, long * f.h / f.w
	}
	return long * f.w / f.h, long
}

// PaintAt paints picture i with long pixels on its long side. At any size it is the same scene in the same light, with
// the same things in it.
func (a *Album) PaintAt(i, long int) Picture {
	f := a.order[i]
	ch, shape := a.begin(i)
	w, h := shape.size(long)
	p := &painter{canvas: a.canvas(w, h), chance: ch, noise: a.noise, land: a.land}
	p.film = film{bloom: 0.25, vignette: ch.between(0.12, 0.3), grain: ch.between(0.8, 1.6), seed: uint32(i) * 7919}
	p.picture.Scene = f.scene
	if shape.w >= 2*shape.h {
		p.subject("panorama")
	}
	f.paint(p)
	if ch.oneIn(14) {
		p.film.mono, p.picture.Mono = true, true
		p.film.contrast, p.film.grain = 0.35, 2.6
	}
	p.picture.Image = p.film.develop(p.canvas)
	a.spare.Put(p.canvas)
	return p.picture
}

// canvas returns a black canvas.
func (a *Album) canvas(w, h int) *canvas {
	c, ok := a.spare.Get().(*canvas)
	if !ok || cap(c.pix) < w*h {
		return newCanvas(w, h)
	}
	c.w, c.h, c.pix = w, h, c.pix[:w*h]
	clear(c.pix)
	return c
}

// painter is what a scene is painted with: a canvas, random choices, noise, land, and the film.
type painter struct {
	canvas  *canvas
	chance  chance
	noise   *noise
	land    *land
	film    film
	picture Picture
}

// weather chooses one of the lights and records it.
func (p *painter) weather(of ...Light) weather {
	l := pick(p.chance, of...)
	p.picture.Light = l
	return weatherFor(p.chance, l)
}

func (p *painter) subject(words ...string) { p.picture.Subjects = append(p.picture.Subjects, words...) }
