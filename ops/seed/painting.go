package seed

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"image/jpeg"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/seed/landscape"
	"flickrkillr/renderer/pictures"
)

// order says how one original is painted. A demonstration picture's id holds it, so that whatever is missing in the
// picture store can be painted later, by another process: 2 bytes that mark such an id, index, album and long as 16-bit
// numbers, and the seed as a 64-bit number, all big-endian.
type order struct {
	seed  uint64
	index int // Of the picture in the album.
	album int // The size that the album is made for, in pixels: it decides how large the painted land is.
	long  int // Pixels on the long side.
}

const orderMark = "fk"

// maxOriginals is how many originals ids can tell apart.
const maxOriginals = math.MaxUint16

// idEncoding is how 128 bits become a picture's id.
func idEncoding() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

// firstMarked and endMarked bound the ids that can begin with orderMark.
func firstMarked() string { return idEncoding().EncodeToString([]byte(orderMark))[:3] }
func endMarked() string   { return firstMarked() + "~" }

func (o order) id() string {
	b := []byte(orderMark)
	for _, n := range []int{o.index, o.album, o.long} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return idEncoding().EncodeToString(binary.BigEndian.AppendUint64(b, o.seed))
}

// orderOf reads an id. It is false for an id that holds no order.
func orderOf(id string) (order, bool) {
	b, err := idEncoding().DecodeString(id)
	if err != nil || len(b) != 16 || string(b[:2]) != orderMark {
		return order{}, false
	}
	number := func(at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
	return order{seed: binary.BigEndian.Uint64(b[8:]), index: number(2), album: number(4), long: number(6)}, true
}

// originalQuality is what photographers export at.
const originalQuality = 90

// paint paints an original and stores it under its id, with its derivatives.
func paint(ctx context.Context, store pictures.Store, album *landscape.Album, o order) (pictures.Image, error) {
	var file bytes.Buffer
	if err := jpeg.Encode(&file, album.PaintAt(o.index, o.long).Image, &jpeg.Options{Quality: originalQuality}); err != nil {
		return pictures.Image{}, fmt.Errorf("encode picture %d: %w", o.index, err)
	}
	img, err := pictures.IngestAs(ctx, store, o.id(), &file, pictures.Limits{})
	if err != nil {
		return img, fmt.Errorf("store picture %d: %w", o.index, err)
	}
	return img, nil
}

// draftWidth is the width of a draft, in pixels: that of the widest derivative that listings show.
const draftWidth = 640

// draft stores the small derivatives of an original, painted at their size. That takes a tenth of the time of the
// original, and looks the same.
func draft(ctx context.Context, store pictures.Store, album *landscape.Album, o order) error {
	w, _ := album.Size(o.index, o.long)
	long := o.long * min(draftWidth, w) / w
	return pictures.KeepSmall(ctx, store, o.id(), album.PaintAt(o.index, long).Image)
}

// drafts stores what listings show of each picture. Done is called after each.
func drafts(ctx context.Context, store pictures.Store, album *landscape.Album, orders []order, done func()) error {
	for _, o := range orders {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := draft(ctx, store, album, o); err != nil {
			return err
		}
		done()
	}
	return nil
}

// Paint paints every demonstration picture whose original is missing in the store: all of them after [Fill], none after
// [Run], and whatever was lost. The site may be in use meanwhile: a picture without an original is shown from its small
// derivatives, as far as they are there. Workers is how many pictures are painted at once (0: one a processor). Paint
// returns at once when nothing is missing.
func Paint(ctx context.Context, c Config, workers int) error {
	missing, err := missingOriginals(ctx, c)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	report := c.reporter()
	report(Painting, 0, int64(len(missing)))
	albums := albumsFor(missing)
	var next, painted atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range min(workers, len(missing)) {
		group.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(missing) {
					return nil
				}
				o := missing[i]
				img, err := paint(ctx, c.Pictures, albums[albumKey{o.seed, o.album}], o)
				if err != nil {
					return err
				}
				if _, err := c.Pool.Exec(ctx, "UPDATE images SET bytes = $2 WHERE id = $1", img.ID, img.Bytes); err != nil {
					return fmt.Errorf("note the size of picture %d: %w", o.index, err)
				}
				report(Painting, painted.Add(1), int64(len(missing)))
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// missingOriginals lists the demonstration pictures in the database whose originals are not in the store: those that the
// first pages show, which are the largest, first.
func missingOriginals(ctx context.Context, c Config) ([]order, error) {
	rows, err := c.Pool.Query(ctx, "SELECT id, width, height FROM images WHERE id >= $1 AND id < $2", firstMarked(), endMarked())
	if err != nil {
		return nil, fmt.Errorf("list the pictures: %w", err)
	}
	var missing []order
	var id string
	var width, height int
	if _, err := pgx.ForEachRow(rows, []any{&id, &width, &height}, func() error {
		o, ok := orderOf(id)
		if !ok || o.long != max(width, height) {
			return nil // Somebody's photo with an id that happens to begin like this.
		}
		file, err := c.Pictures.Open(ctx, id)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, o)
			return nil
		}
		if err != nil {
			return err
		}
		return file.Close()
	}); err != nil {
		return nil, fmt.Errorf("look for missing originals: %w", err)
	}
	slices.SortStableFunc(missing, func(a, b order) int { return b.long - a.long })
	return missing, nil
}

type albumKey struct {
	seed uint64
	size int
}

// albumsFor makes the albums that hold all of the pictures.
func albumsFor(orders []order) map[albumKey]*landscape.Album {
	lengths := map[albumKey]int{}
	for _, o := range orders {
		k := albumKey{o.seed, o.album}
		lengths[k] = max(lengths[k], o.index+1)
	}
	albums := map[albumKey]*landscape.Album{}
	for k, n := range lengths {
		albums[k] = landscape.NewAlbum(k.seed, n, k.size)
	}
	return albums
}
