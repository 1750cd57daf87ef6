package seed

import "flickrkillr/ops/seed/landscape"

// Prepared is what a seeding decides before its first row: who posts what, and which picture shows it.
type Prepared struct {
	world  *world
	album  *landscape.Album
	orders []order // what to paint, the first pages' pictures first
	first  int     // how many of the orders are on the first pages
}

// Prepare does the part of [Fill] that needs neither the database nor the picture store, for its Config.Prepared. It
// takes about a second for the default numbers.
func Prepare(c Config) (*Prepared, error) {
	c = c.withDefaults()
	w, err := loadWords()
	if err != nil {
		return nil, err
	}
	p := &Prepared{album: landscape.NewAlbum(c.Seed, c.Originals, c.Long)}
	p.world = newWorld(newPlan(c.Seed, c.Users, c.Photos), sketch(p.album, c.Seed, c.Long), w)
	p.orders, p.first = p.world.setSizes(p.album, c.Long, c.LongFirst)
	return p, nil
}

// setSizes decides the size of each picture, and lists the pictures. The first ones are on the first pages.
func (w *world) setSizes(album *landscape.Album, long, longFirst int) (orders []order, first int) {
	shown := w.shownFirst()
	for _, now := range []bool{true, false} {
		for i := range w.gallery.all {
			if shown[int32(i)] != now {
				continue
			}
			p := &w.gallery.all[i]
			if p.long = long; now {
				p.long = longFirst
			}
			p.width, p.height = album.Size(i, p.long)
			orders = append(orders, p.order)
		}
	}
	return orders, len(shown)
}
