package renderer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/cascadia"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"golang.org/x/net/html"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// site is a bus, a database with a few rows, a picture and an asker. Services are started by the tests.
type site struct {
	url      string
	nc       *nats.Conn // the asker's
	pool     *pgxpool.Pool
	pictures pictures.Store
	staging  pictures.Staging
	image    pictures.Image
}

// Photos 1 to 100 are ansel's, of which 50 is private, and 101 to 103 are dorothea's; newcomer has none. Ansel's photos
// 1 to 60 but 50 are in album 1, at ten times their id; the odd ones have the tag "blue hour".
const rows = `
	INSERT INTO users (id, name, display_name, bio) OVERRIDING SYSTEM VALUE VALUES
		(1, 'ansel', 'Ansel <Adams>', 'Mountains & moons'), (2, 'dorothea', 'Dorothea', ''), (3, 'newcomer',
			'New Comer', '');
	INSERT INTO images (id, width, height, color, bytes) VALUES ('%[1]s', %[2]d, %[3]d, %[4]d, %[5]d);
	INSERT INTO photos (id, user_id, image_id, width, height, color, title, description, faves, private, camera,
		posted_at)
		OVERRIDING SYSTEM VALUE
		SELECT n, CASE WHEN n <= 100 THEN 1 ELSE 2 END, '%[1]s', %[2]d, %[3]d, %[4]d, 'Moonrise ' || n,
			'Seen from the road <b>' || n, n %% 7,
			n = 50, 'Graflex', timestamptz '2026-01-01 12:00Z' + n * interval '1 day'
		FROM generate_series(1, 103) AS n;
	INSERT INTO tags (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'blue hour'), (2, 'unused');
	INSERT INTO photo_tags (photo_id, tag_id) SELECT n, 1 FROM generate_series(1, 103, 2) AS n;
	INSERT INTO albums (id, user_id, title, description) OVERRIDING SYSTEM VALUE VALUES (1, 1, 'Yosemite',
		'The valley');
	INSERT INTO album_photos (album_id, photo_id, user_id, position) SELECT 1, n, 1, n * 10 FROM generate_series(1,
		60) AS n;
	SELECT setval(pg_get_serial_sequence('photos', 'id'), 1000);`

// filled is the database with these rows, filled once.
var filled testenv.Prepared

func newSite(t testing.TB) *site {
	t.Helper()
	im, _ := onlyPicture(t)
	url := filled.URL(t, func(ctx context.Context, url string) error {
		pool, err := pgxpool.New(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		return fill(ctx, pool, im)
	})
	return siteOn(t, testenv.NATS(t), testenv.Pool(t, url))
}

// newSiteOn is newSite with the caller's bus and its migrated, empty database.
func newSiteOn(t testing.TB, url string, pool *pgxpool.Pool) *site {
	t.Helper()
	im, _ := onlyPicture(t)
	if err := fill(t.Context(), pool, im); err != nil {
		t.Fatal(err)
	}
	return siteOn(t, url, pool)
}

// siteOn is newSite with a database that has the rows.
func siteOn(t testing.TB, url string, pool *pgxpool.Pool) *site {
	t.Helper()
	im, from := onlyPicture(t)
	path := t.TempDir()
	if err := os.CopyFS(path, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	dir, err := pictures.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	return &site{url: url, nc: testenv.Connect(t, url), pool: pool, pictures: dir, staging: dir, image: im}
}

// fill inserts the rows and indexes them for the search.
func fill(ctx context.Context, pool *pgxpool.Pool, im pictures.Image) error {
	if _, err := pool.Exec(ctx, fmt.Sprintf(rows, im.ID, im.Width, im.Height, im.Color, im.Bytes)); err != nil {
		return err
	}
	for {
		if n, err := store.New(pool).IndexOnce(ctx, store.IndexMost); err != nil || n == 0 {
			return err
		}
	}
}

// ingested is the only picture of every site. It is painted and ingested once, because that takes a second.
var ingested struct {
	once  sync.Once
	err   error
	dir   string
	image pictures.Image
}

// onlyPicture returns the only picture, and a picture store with it, to be copied.
func onlyPicture(t testing.TB) (im pictures.Image, dir string) {
	t.Helper()
	shared := testenv.SharedDir(t)
	ingested.once.Do(func() {
		ingested.dir = filepath.Join(shared, "pictures")
		dir, err := pictures.OpenDir(ingested.dir)
		if err != nil {
			ingested.err = err
			return
		}
		file := bytes.NewReader(landscape(t, 900, 600))
		ingested.image, err = pictures.Ingest(context.WithoutCancel(t.Context()), dir, file, pictures.Limits{})
		ingested.err = errors.Join(err, dir.Close())
	})
	if ingested.err != nil {
		t.Fatal(ingested.err)
	}
	return ingested.image, ingested.dir
}

func landscape(t testing.TB, width, height int) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			im.SetRGBA(x, y, color.RGBA{byte(x), byte(y), 120, 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// edgeInbox is a new reply subject of an edge, for a job that did not come by the bus: a renderer may answer there.
func edgeInbox() string { return wire.InboxPrefix(wire.RoleEdge) + "." + nuid.Next() }

// start runs a service on a connection of its own until the test ends; change may be nil. It returns once the service
// is ready.
func (st *site) start(t testing.TB, change func(*Config)) *running {
	t.Helper()
	return run(t, st.service(t, change))
}

// service makes a service that is not running yet.
func (st *site) service(t testing.TB, change func(*Config)) *Service {
	t.Helper()
	cfg := Config{NATS: testenv.ConnectAs(t, st.url, wire.RoleRenderer), Pool: st.pool, Pictures: st.pictures,
		Uploads: testenv.ConnectForFiles(t, st.url, wire.RoleRenderer), Staging: st.staging, Version: "1.2.3",
		Logger: slog.New(logged{t})}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running is a service whose Run a test may end.
type running struct {
	*Service
	cancel context.CancelFunc
	ended  chan struct{} // closed when Run has returned
	err    error         // of Run, once ended is closed
}

// launch calls Run in a goroutine. The test ends it by stop.
func launch(t testing.TB, s *Service) *running {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{Service: s, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = s.Run(ctx)
	}()
	t.Cleanup(r.stop)
	return r
}

// stop ends Run and waits until it has returned. It is safe to call twice, from several goroutines.
func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// run runs s until the test ends or stops it, and returns once it is ready.
func run(t testing.TB, s *Service) *running {
	t.Helper()
	r := launch(t, s)
	t.Cleanup(func() {
		if r.stop(); r.err != nil {
			t.Error("Run:", r.err)
		}
	})
	eventually(t, 10*time.Second, s.Ready)
	return r
}

// eventually asks again until check is content, for at most limit.
func eventually(t testing.TB, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", limit, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// request asks as `nats req` does: no header, no data.
func (st *site) request(t testing.TB, subject string) *nats.Msg {
	t.Helper()
	msg, err := st.nc.Request(subject, nil, 10*time.Second)
	if err != nil {
		t.Fatalf("request %s: %v", subject, err)
	}
	return msg
}

// get asks for an envelope.
func (st *site) get(t testing.TB, ref page.Ref) *wire.Reply {
	t.Helper()
	msg := st.request(t, ref.Subject())
	if err := wire.ErrorOf(msg); err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	reply, err := wire.DecodeReply(ref.Key(), msg.Data)
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	return reply
}

// scopesOf gives the version of each scope that a reply depends on.
func scopesOf(r *wire.Reply) map[string]int64 {
	all := map[string]int64{}
	for _, d := range r.Depends {
		all[d.Scope] = d.Version
	}
	return all
}

// texts gives the text of each element that selector finds in a reply's body.
func texts(t testing.TB, r *wire.Reply, selector string) []string {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, n := range cascadia.QueryAll(root, cascadia.MustCompile(selector)) {
		var b strings.Builder
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
		all = append(all, strings.Join(strings.Fields(b.String()), " "))
	}
	return all
}

// logged writes the log of a service to its test's.
type logged struct{ t testing.TB }

func (l logged) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l logged) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l logged) WithGroup(string) slog.Handler                    { return l }
func (l logged) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "stack" {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
		return true
	})
	l.t.Logf("%s %s%s", r.Level, r.Message, b.String())
	return nil
}
