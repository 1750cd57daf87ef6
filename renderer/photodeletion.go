package renderer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// removePhotos deletes for good what was chosen in the bin, or empties it. The form leads to the receipt, also when it
// is sent again.
func removePhotos(
	ctx context.Context, d *actionRun, a attempt, change store.OwnChange, ids []int64,
) (*outcome, error) {
	var seen time.Time
	if change == store.OwnEmpty {
		micros, err := strconv.ParseInt(a.form["seen"], 10, 64)
		if err != nil {
			return nil, wrong(formField, "The page does not say what it has shown. Reload it")
		}
		seen, ids = time.UnixMicro(micros), nil
	}
	receipt := sha256.Sum256(fmt.Appendf(nil, "photos %d %s", a.user, a.key))
	var id int64
	out, err := toSeveral(ctx, d, func(ctx context.Context) (changes []store.Change, err error) {
		changes, id, err = d.store.RemovePhotos(ctx, a.key, a.user, ids, change, seen, receipt[:])
		return changes, err
	})
	if err == nil && id != 0 {
		out.receipt = strconv.FormatInt(id, 10)
	}
	return out, err
}

// photoReceipt says what has become of photos of a person's own that were deleted for good.
func (d *actionRun) photoReceipt(ctx context.Context, v visit, asked wire.PrivateRequest) (*outcome, error) {
	id, err := strconv.ParseInt(asked.Values.Get("id"), 10, 64)
	if err != nil {
		return nil, toWireError(store.ErrNotFound)
	}
	done, err := fromRows(ctx, d, func(ctx context.Context) (*store.Deletion, error) {
		return d.store.PhotoDeletion(ctx, v.user, id)
	})
	if err != nil {
		return nil, err
	}
	r := templates.PhotoReceipt{
		ID: done.ID, DeletedAt: done.At, HiddenAt: done.HiddenAt, RowsGoneAt: done.RowsGoneAt,
		FilesGoneAt: done.FilesGoneAt, ReadableUntil: done.At.Add(wire.ReceiptAge), Scope: done.Scope(),
		Version: done.Version, Photos: done.Had.Photos, Left: done.Left, Tags: done.Had.Tags, Shares: done.Had.Shares,
		Files: done.Had.Files, FilesRemoved: done.FilesRemoved, FilesKept: done.FilesKept,
		FreedFiles: done.FreedFiles, FreedBytes: done.FreedBytes, IDs: done.PhotoIDs, Edges: edgesOf(done),
	}
	r.Complete = !r.FilesGoneAt.IsZero() && !done.EdgesKnowAt.IsZero()
	if asked.JSON {
		return &outcome{view: asJSON(r)}, nil
	}
	return &outcome{view: templates.PhotoReceiptPage(d.maker.site, r)}, nil
}

// addReceiptsTo adds the receipts of photos to a page of the bin.
func (d *actionRun) addReceiptsTo(ctx context.Context, p *templates.PrivatePage, v visit) error {
	lines, err := fromRows(ctx, d, func(ctx context.Context) ([]store.DeletionLine, error) {
		return d.store.PhotoDeletions(ctx, v.user)
	})
	for _, line := range lines {
		p.Bin.Receipts = append(p.Bin.Receipts, templates.ReceiptLine(line))
	}
	return err
}

// binAsJSON answers a program that asks what is in the bin.
func (d *actionRun) binAsJSON(ctx context.Context, v visit, asked wire.PrivateRequest) (*outcome, error) {
	values := map[string]string{"before": asked.Values.Get("before")}
	p := templates.PrivatePage{Site: d.maker.site, Form: templates.Form{Values: values}}
	if _, err := d.accountOf(ctx, v.user); err != nil {
		return nil, err
	}
	if err := d.addBinTo(ctx, &p, v); err != nil {
		return nil, err
	}
	type photo struct {
		ID    int64  `json:"id"`
		Title string `json:"title"`
	}
	type receipt struct {
		ID        int64     `json:"id"`
		DeletedAt time.Time `json:"deleted_at"`
		Photos    int       `json:"photos"`
	}
	photos, receipts := make([]photo, len(p.Photos)), make([]receipt, len(p.Bin.Receipts))
	for i, c := range p.Photos {
		photos[i] = photo{c.ID, c.Title}
	}
	for i, line := range p.Bin.Receipts {
		receipts[i] = receipt{line.ID, line.At, line.Photos}
	}
	return &outcome{view: asJSON(struct {
		Count    int       `json:"count"`           // photos in the bin, 10,000 at most
		Seen     string    `json:"seen,omitempty"`  // the value of seen for emptying it; "": it is empty
		Older    string    `json:"older,omitempty"` // the value of before for the next page
		Photos   []photo   `json:"photos"`          // a page of them, the one put there last first
		Receipts []receipt `json:"receipts"`        // the newest ten
	}{p.Bin.Count, p.Bin.Seen, p.Bin.Older, photos, receipts})}, nil
}
