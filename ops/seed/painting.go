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
	"flickrkillr/schema/page"
)

// order says how one original is painted. The id of a demonstration picture holds it, so that another process can paint
// a missing picture later: 2 bytes that mark such an id; index, size and long as 16-bit numbers; the seed as a 64-bit
// number; all big-endian.
type order struct {
	albumKey
	index int // Of the picture in the album.
	long  int // Pixels on the long side.
}

// albumKey identifies an album.
type albumKey struct {
	seed uint64
	size int // What the album is made for, in pixels: it decides how large the painted land is.
}

const orderMark = "fk"

// maxOriginals is the number of originals that ids can distinguish.
const maxOriginals = math.MaxUint16

// idEncoding encodes 128 bits as a picture's id.
func idEncoding() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

// firstMarked and endMarked bound the ids that may begin with orderMark.
func firstMarked() string { return idEncoding().EncodeToString([]byte(orderMark))[:3] }
func endMarked() string   { return firstMarked() + "~" }

func (o order) id() string {
	b := []byte(orderMark)
	for _, n := range []int{o.index, o.size, o.long} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return idEncoding().EncodeToString(binary.BigEndian.AppendUint64(b, o.seed))
}

// orderOf reads an id. It returns false for an id without an order.
func orderOf(id string) (order, bool) {
	b, err := idEncoding().DecodeString(id)
	if err != nil || len(b) != 16 || string(b[:2]) != orderMark {
		return order{}, false
	}
	number := func(at int) int { return int(binary.BigEndian.Uint16(b[at:])) }
	return order{albumKey{binary.BigEndian.Uint64(b[8:]), number(4)}, number(2), number(6)}, true
}

// originalQuality is the usual JPEG quality of exports.
const originalQuality = 90

// paint paints an original and stores it under its id, with its derivatives.
func paint(ctx context.Context, store pictures.Store, album *landscape.Album, o order) (pictures.Image, error) {
	var file bytes.Buffer
	if err := jpeg.Encode(
		&file, album.PaintAt(o.index, o.long).Image, &jpeg.Options{Quality: originalQuality},
	); err != nil {
		return pictures.Image{}, fmt.Errorf("encode picture %d: %w", o.index, err)
	}
	img, err := pictures.IngestAs(ctx, store, o.id(), &file, pictures.Limits{})
	if err != nil {
		return img, fmt.Errorf("store picture %d: %w", o.index, err)
	}
	return img, nil
}

// draftWidth is the width of a draft in pixels: that of the widest derivative in listings.
const draftWidth = 640

// draft stores the small derivatives of an original, painted at their size. That takes a tenth of the time of the
// original and looks the same.
func draft(ctx context.Context, store pictures.Store, album *landscape.Album, o order) error {
	w, _ := album.Size(o.index, o.long)
	long := o.long * min(draftWidth, w) / w
	if err := pictures.KeepSmall(ctx, store, o.id(), album.PaintAt(o.index, long).Image); err != nil {
		return fmt.Errorf("draft picture %d: %w", o.index, err)
	}
	return nil
}

// Paint paints every demonstration picture whose original is missing in the store: all of them after [Fill], none after
// [Run], and any that was lost. The site may be in use: a picture without an original is shown from its small
// derivatives, so missing ones of these are painted first. Workers is how many pictures are painted at once (0: one per
// processor). Paint returns at once if nothing is missing.
func Paint(ctx context.Context, c Config, workers int) error {
	return c.paintMissing(ctx, workers, true)
}

func (c Config) paintMissing(ctx context.Context, workers int, withDrafts bool) error {
	missing, err := missingOriginals(ctx, c)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	albums, report := albumsFor(missing), c.reporter()
	var small []order
	for _, o := range missing {
		if !withDrafts {
			break
		}
		if _, err := pictures.Stored(ctx, c.Pictures, o.id(), page.Widths()[0]); errors.Is(err, fs.ErrNotExist) {
			small = append(small, o)
		}
	}
	if err := each(ctx, small, workers, Drafting, report, func(ctx context.Context, o order) error {
		return draft(ctx, c.Pictures, albums[o.albumKey], o)
	}); err != nil {
		return err
	}
	return each(ctx, missing, workers, Painting, report, func(ctx context.Context, o order) error {
		img, err := paint(ctx, c.Pictures, albums[o.albumKey], o)
		if err != nil {
			return err
		}
		if _, err := c.Pool.Exec(ctx, "UPDATE images SET bytes = $2 WHERE id = $1", img.ID, img.Bytes); err != nil {
			return fmt.Errorf("note the size of picture %d: %w", o.index, err)
		}
		return nil
	})
}

// each calls do for each order, several at once, and reports how many are done.
func each(ctx context.Context, orders []order, workers int, stage Stage, report func(Stage, int64, int64),
	do func(context.Context, order) error,
) error {
	if len(orders) == 0 {
		return nil
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	total := int64(len(orders))
	report(stage, 0, total)
	var next, done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(workers, len(orders)) {
		group.Go(func() error {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= total {
					return nil
				}
				if err := do(ctx, orders[i]); err != nil {
					return err
				}
				report(stage, done.Add(1), total)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// missingOriginals lists the demonstration pictures in the database whose originals are not in the store. Those on the
// first pages, which are the largest, come first.
func missingOriginals(ctx context.Context, c Config) ([]order, error) {
	rows, err := c.Pool.Query(
		ctx, "SELECT id, width, height FROM images WHERE id >= $1 AND id < $2", firstMarked(), endMarked(),
	)
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

// albumsFor makes the albums of these pictures.
func albumsFor(orders []order) map[albumKey]*landscape.Album {
	lengths := map[albumKey]int{}
	for _, o := range orders {
		lengths[o.albumKey] = max(lengths[o.albumKey], o.index+1)
	}
	albums := map[albumKey]*landscape.Album{}
	for k, n := range lengths {
		albums[k] = landscape.NewAlbum(k.seed, n, k.size)
	}
	return albums
}
