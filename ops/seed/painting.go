package seed

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"image/jpeg"
	"math"
	"runtime"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/seed/landscape"
	"flickrkillr/renderer/pictures"
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

// paint paints an original, notes its size, and stores it under its id with its derivatives.
func (c Config) paint(ctx context.Context, album *landscape.Album, o order) error {
	var file bytes.Buffer
	painted := album.PaintAt(o.index, o.long).Image
	if err := jpeg.Encode(&file, painted, &jpeg.Options{Quality: originalQuality}); err != nil {
		return fmt.Errorf("encode picture %d: %w", o.index, err)
	}
	// The size first: an original that is stored is not painted again.
	if _, err := c.Pool.Exec(ctx, "UPDATE images SET bytes = $2 WHERE id = $1", o.id(), file.Len()); err != nil {
		return fmt.Errorf("note the size of picture %d: %w", o.index, err)
	}
	if _, err := pictures.IngestAs(ctx, c.Pictures, o.id(), &file, pictures.Limits{}); err != nil {
		return fmt.Errorf("store picture %d: %w", o.index, err)
	}
	return nil
}

// Widths of drafts, in pixels. Listings show pictures 320 wide, or 640 on dense displays, where these look soft.
const (
	draftWidth     = 480
	softDraftWidth = 320
)

// draft paints and stores a picture's draft, width pixels wide, or as wide as the original if that is narrower.
func draft(ctx context.Context, store pictures.Store, album *landscape.Album, o order, width int) error {
	w, _ := album.Size(o.index, o.long)
	long := o.long * min(width, w) / w
	if err := pictures.KeepDraft(ctx, store, o.id(), album.PaintAt(o.index, long).Image); err != nil {
		return fmt.Errorf("draft picture %d: %w", o.index, err)
	}
	return nil
}

// Draft paints drafts of the demonstration pictures that the store has neither an original nor a draft of, as after a
// [Fill] that was cut short, or after a loss. It returns at once if there are none.
func Draft(ctx context.Context, c Config) error {
	missing, err := missingOriginals(ctx, c)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	var without []order
	for _, o := range missing {
		stored, err := pictures.IsStored(ctx, c.Pictures, pictures.DraftName(o.id()))
		if err != nil {
			return fmt.Errorf("seed: look for drafts: %w", err)
		}
		if !stored {
			without = append(without, o)
		}
	}
	return c.each(ctx, without, 0, Drafting, func(ctx context.Context, album *landscape.Album, o order) error {
		return draft(ctx, c.Pictures, album, o, softDraftWidth)
	})
}

// Paint paints every demonstration picture whose original is missing in the store: all of them after [Fill], none after
// [Run], and any that was lost. The site may be in use: a picture without an original is shown from its draft. Workers
// is how many pictures are painted at once (0: one per processor). Painted is how many were missing.
func Paint(ctx context.Context, c Config, workers int) (painted int, err error) {
	missing, err := missingOriginals(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("seed: %w", err)
	}
	return len(missing), c.each(ctx, missing, workers, Painting, c.paint)
}

// each calls do for each order with its album, for several at once, and reports how many are done.
func (c Config) each(
	ctx context.Context, orders []order, workers int, stage Stage,
	do func(context.Context, *landscape.Album, order) error,
) error {
	if len(orders) == 0 {
		return nil
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	albums, count := albumsFor(orders), c.counter(stage, len(orders))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, o := range orders {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(ctx, albums[o.albumKey], o); err != nil {
				return err
			}
			count()
			return nil
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
		stored, err := pictures.IsStored(ctx, c.Pictures, id)
		if err == nil && !stored {
			missing = append(missing, o)
		}
		return err
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
