package renderer

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// takeoutEndpoints lists the requests about zip files.
func takeoutEndpoints(bus *nats.Conn, workers *pool) []*endpoint {
	var all []*endpoint
	for _, e := range [...]struct{ verb, kind string }{{wire.TakeoutHead, store.TakeoutPlan},
		{wire.TakeoutPlan, store.TakeoutPlan}, {wire.TakeoutJSON, store.TakeoutJSON}} {
		all = append(all, &endpoint{
			name: "takeout-" + e.verb, subjects: []string{wire.TakeoutPattern(e.verb)}, pool: workers, bus: bus,
			parse: func(m *nats.Msg) (parsed, error) {
				_, user, id, err := wire.ParseTakeout(m.Subject)
				if err != nil {
					return parsed{}, err
				}
				nr := int64(headPart)
				if e.verb != wire.TakeoutHead {
					nr, err = strconv.ParseInt(m.Header.Get(wire.HeaderOffset), 10, 32)
					if err != nil || nr < 0 {
						return parsed{}, wrong(wire.HeaderOffset, "is not the number of a part: give digits")
					}
				}
				return parsed{limit: wire.PageDeadline, action: &action{
					run: func(ctx context.Context, d *actionRun) (*outcome, error) {
						data, err := fromRows(ctx, d, func(ctx context.Context) ([]byte, error) {
							return d.store.TakeoutPart(ctx, user, id, e.kind, nr)
						})
						return &outcome{data: data}, err
					},
				}}, nil
			},
		})
	}
	return all
}

// takeoutID names the zip file that an attempt asks for. Nobody else can make one of the same name.
func takeoutID(user int64, key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "zip file %d %s", user, key))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:26])
}

// beginTakeout asks for a zip file. Whoever relays prepares it.
func beginTakeout(ctx context.Context, d *actionRun, a attempt) (*outcome, error) {
	album := int64(0)
	if text := a.form["album"]; text != "" {
		var err error
		if album, err = strconv.ParseInt(text, 10, 64); err != nil || album <= 0 {
			return nil, wrong("album", "is none of yours: choose one")
		}
	}
	changes, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Change, error) {
		return d.store.BeginTakeout(ctx, a.key, a.user, takeoutID(a.user, a.key), album, wire.MaxTakeouts)
	})
	if err != nil {
		return nil, err
	}
	return &outcome{changes: changes}, nil
}

// addTakeoutsTo adds to a private page what it shows of zip files.
func (d *actionRun) addTakeoutsTo(ctx context.Context, p *templates.PrivatePage, v visit) error {
	if p.Kind != page.PrivateTakeout {
		return nil
	}
	rows, err := fromRows(ctx, d, func(ctx context.Context) ([]store.Takeout, error) {
		return d.store.Takeouts(ctx, v.user)
	})
	if err != nil {
		return err
	}
	albums, err := fromRows(ctx, d, func(ctx context.Context) ([]store.TakeoutAlbum, error) {
		return d.store.TakeoutAlbums(ctx, v.user)
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		p.Takeouts = append(p.Takeouts, templates.TakeoutCard{ID: row.ID, Album: row.Album != 0, Title: row.Title,
			Made: row.MadeAt.UTC(), Until: row.MadeAt.UTC().AddDate(0, 0, wire.TakeoutDays), Ready: row.Ready,
			Photos: int(row.Photos), Size: roughSize(row.Bytes), Missing: int(row.Missing), Failed: row.Failed})
	}
	for _, album := range albums {
		p.TakeoutAlbums = append(p.TakeoutAlbums, templates.TakeoutAlbum(album))
	}
	return nil
}

// roughSize writes a number of bytes with a unit and at most one digit behind the point.
func roughSize(n int64) string {
	units := []string{"bytes", "KB", "MB", "GB", "TB"}
	v := float64(n)
	for v >= 999.5 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	text := strconv.FormatFloat(v, 'f', 1, 64)
	if v >= 100 || strings.HasSuffix(text, ".0") {
		text = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return text + " " + units[0]
}
