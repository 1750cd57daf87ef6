package e2e

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	roles "flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/ops/testenv/authenticator"
)

// backupCommands are the blocks of shell commands in the README's part about backups: to make one, and to restore it.
func backupCommands(t *testing.T) (backup, restore string) {
	t.Helper()
	readme, err := os.ReadFile("../deploy/README.md")
	must(t, err)
	_, section, _ := strings.Cut(string(readme), "\n## Backup and restore\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string // what the role postgres needs before is another one
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		if strings.Contains(block[1], "DATABASE_URL=") {
			blocks = append(blocks, block[1])
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("the README has %d blocks of commands about backups", len(blocks))
	}
	return blocks[0], blocks[1]
}

// runShell runs commands of the README with this database and these folders.
func runShell(t *testing.T, commands, database, pictures, backup string) {
	t.Helper()
	postgres, err := stack.FindPostgres(0)
	must(t, err)
	for was, is := range map[string]string{
		"DATABASE_URL=postgres://killr@10.0.0.9/killr": "DATABASE_URL='" + database + "'",
		"PICTURES=/srv/pictures":                       "PICTURES=" + pictures,
		"BACKUP=/backup":                               "BACKUP=" + backup,
		"DAY=$(date +%F)":                              "DAY=2026-11-30",
	} {
		commands = strings.ReplaceAll(commands, was, is)
	}
	if regexp.MustCompile(`10\.0\.0\.9|=/srv|=/backup`).MatchString(commands) {
		t.Fatalf("the README's commands have places of their own:\n%s", commands)
	}
	killr := fmt.Sprintf("killr() { %s \"$@\"; }\n", testenv.Program(t))
	env := []string{"PATH=" + postgres.Dir + ":" + os.Getenv("PATH")}
	run(t, 2*time.Minute, env, "sh", "-euc", killr+commands)
}

var passkeyOptions = regexp.MustCompile(`data-options="([^"]*)"`)

// optionsOf are those on a page for a passkey.
func optionsOf(t *testing.T, page *shown) string {
	t.Helper()
	found := passkeyOptions.FindStringSubmatch(page.body)
	if found == nil {
		t.Fatalf("no options for a passkey: %d, %q", page.status, page.texts(".problem"))
	}
	return html.UnescapeString(found[1])
}

// TestBackup: a site is backed up by the README's commands and restored by them, into another PostgreSQL and an empty
// folder, while its edges and NATS go on. Then it is as it was at the backup, and nothing that came later is shown.
func TestBackup(t *testing.T) {
	t.Parallel()
	backup, restore := backupCommands(t)
	var cfg roles.Config
	s := newPeopleSite(t, func(c *roles.Config) { cfg = *c })
	for i := range s.urls {
		s.urls[i] = strings.Replace(s.urls[i], "127.0.0.1", "localhost", 1) // where browsers allow passkeys
	}
	b := newBackedUp(t, s)
	folder := t.TempDir()
	runShell(t, backup, s.pool.Config().ConnString(), s.pictures, folder)
	b.goOn()
	lastVersion := s.count("SELECT last_value FROM versions")
	lastPhoto := s.count("SELECT max(id) FROM photos")

	must(t, s.site.Remove(roles.Renderer))
	database, pictures := emptyDatabase(t), filepath.Join(t.TempDir(), "pictures")
	must(t, os.Mkdir(pictures, 0o700))
	runShell(t, restore, database, pictures, folder)
	s.pool, s.pictures = testenv.Pool(t, database), pictures
	cfg.Services.Postgres, cfg.Pictures = database, pictures
	b.restart(cfg)

	b.isAsItWas()
	if got := s.count("SELECT version FROM epoch"); got <= lastVersion {
		t.Errorf("everything changed at version %d, which %d had overtaken", got, lastVersion)
	}
	b.peopleGoOn(lastPhoto)
}

// emptyDatabase is one without a table, in a PostgreSQL of its own.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	p := testenv.Postgres(t)
	conn, err := pgx.Connect(t.Context(), p.AdminURL("postgres"))
	must(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "CREATE DATABASE restored OWNER killr TEMPLATE template0")
	must(t, err)
	return p.URLFor("restored")
}

// backedUp is a site before and after its backup.
type backedUp struct {
	*peopleSite
	t       *testing.T
	passkey *authenticator.Authenticator

	keeps   *person           // has signed up before the backup
	late    *person           // after it
	visitor *person           // nobody
	photos  []string          // paths, at the backup
	pages   map[string]string // by path: what visitors saw at the backup
	lost    []string          // paths that came after it
	picture string            // the address of a picture that came after it
}

// newBackedUp fills a site with what is backed up: somebody with photos, an album and a passkey.
func newBackedUp(t *testing.T, s *peopleSite) *backedUp {
	b := &backedUp{peopleSite: s, t: t, keeps: s.person("vivian"), late: s.person("late_one"), visitor: s.person(""),
		pages: map[string]string{}}
	b.keeps.signUp(0)
	for _, name := range []string{"Lake.jpg", "Dune.jpg", "Reed.jpg"} {
		b.photos = append(b.photos, b.upload(b.keeps, name))
	}
	album := b.keeps.form(0, "/me/albums", url.Values{"do": {"make"}, "title": {"Water"}})
	if album.status != http.StatusSeeOther {
		t.Errorf("an album: %d, %q", album.status, album.texts(".problem"))
	}
	b.passkey = authenticator.New(t, s.urls[0])
	begun := b.keeps.form(0, "/me/passkeys/new", url.Values{"password": {b.keeps.password}})
	made := url.Values{"label": {"Blue key"}, "passkey": {b.passkey.Create(optionsOf(t, begun))}}
	b.keeps.form(0, "/me/passkeys/new", made).expect(http.StatusSeeOther, "/me/passkeys?notice=passkey-added")
	for _, path := range append([]string{"/", "/photos/vivian", "/photos/vivian/albums", "/explore"}, b.photos...) {
		testenv.Eventually(t, path+" is the same page at all edges", func() bool {
			b.pages[path] = b.mainOf(0, path)
			same := b.pages[path] != ""
			for edge := range s.urls {
				same = same && b.mainOf(edge, path) == b.pages[path]
			}
			return same
		})
	}
	return b
}

// upload sends a picture by the form, and returns the path of the photo once each edge shows it.
func (b *backedUp) upload(p *person, name string) (path string) {
	b.t.Helper()
	sent := p.sendFile(0, name, newPicture(b.t, 200))
	path = sent.attr(".sent a", "href")
	if path == "" {
		b.t.Fatalf("no photo of %s: %d, %q", name, sent.status, sent.texts(".problem"))
	}
	b.isShown(p, path, strings.TrimSuffix(name, ".jpg"))
	return path
}

// mainOf is what an edge shows a visitor of a page, without what differs from one answer to the next. "" is no page.
func (b *backedUp) mainOf(edge int, path string) string {
	b.t.Helper()
	shown := b.visitor.get(edge, path)
	if shown.status != http.StatusOK || shown.header.Get("X-Cache") == "stale" {
		return ""
	}
	_, main, _ := strings.Cut(shown.body, "<main")
	main, _, _ = strings.Cut(main, "</main>")
	return main
}

// goOn changes the site after the backup. Each edge keeps copies of all that.
func (b *backedUp) goOn() {
	t, s := b.t, b.peopleSite
	t.Helper()
	b.keeps.form(0, "/me/profile", url.Values{"display": {"After the backup"}, "bio": {""}}).
		expect(http.StatusSeeOther, "/photos/vivian")
	b.keeps.form(0, "/me/password", url.Values{"old": {b.keeps.password}, "password": {"after the backup"}}).
		expect(http.StatusSeeOther, "/me?notice=password")
	b.late.signUp(1)
	b.lost = []string{b.upload(b.late, "Late.jpg"), b.upload(b.keeps, "Later.jpg"), "/photos/late_one"}
	b.picture = b.visitor.get(0, b.lost[0]).attr(".stage img", "src")
	var original string
	deleted := strings.TrimPrefix(b.photos[0], "/photo/")
	deleting := "DELETE FROM photos WHERE id = " + deleted + " RETURNING image_id"
	must(t, s.pool.QueryRow(t.Context(), deleting).Scan(&original))
	testenv.Eventually(t, "the files of a deleted photo are gone", func() bool { return s.files(original) == 0 })
	for path, was := range b.pages {
		for edge := range s.urls {
			testenv.Eventually(t, "no edge shows the page of the backup: "+path, func() bool {
				return b.mainOf(edge, path) != was
			})
		}
	}
	for _, path := range b.lost {
		for edge := range s.urls {
			testenv.Eventually(t, "each edge has a copy of "+path, func() bool {
				return b.visitor.get(edge, path).header.Get("X-Cache") == "near"
			})
		}
	}
}

// restart starts a renderer on the restored database, with the same NATS and edges.
func (b *backedUp) restart(cfg roles.Config) {
	b.t.Helper()
	site := roles.New(cfg)
	b.t.Cleanup(func() { must(b.t, site.Stop()) })
	must(b.t, site.Add(roles.Renderer, 1))
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	must(b.t, site.WaitReady(ctx))
}

// isAsItWas: once an edge shows one page as it was at the backup, all of them are, and stay so.
func (b *backedUp) isAsItWas() {
	t := b.t
	t.Helper()
	for edge := range b.urls {
		testenv.Eventually(t, fmt.Sprintf("edge %d shows the page of the backup", edge), func() bool {
			return b.mainOf(edge, "/photos/vivian") == b.pages["/photos/vivian"]
		})
		for range 3 { // from the renderer, and from the copy
			for path, was := range b.pages {
				is := ""
				testenv.Eventually(t, path+" is answered, and not by a stale copy", func() bool {
					is = b.mainOf(edge, path)
					return is != ""
				})
				if is != was {
					t.Errorf("edge %d: %s is\n%s\nand was at the backup\n%s", edge, path, is, was)
				}
			}
			for _, path := range append(slices.Clone(b.lost), b.picture) {
				status := 0
				testenv.Eventually(t, path+" is answered", func() bool {
					status = b.visitor.get(edge, path).status
					return status < http.StatusInternalServerError
				})
				if status != http.StatusNotFound {
					t.Errorf("edge %d: %s, which came after the backup, is answered with %d", edge, path, status)
				}
			}
		}
	}
	for _, path := range b.photos { // also of a photo that was deleted after the backup
		b.isShown(b.visitor, path, "")
	}
}

// peopleGoOn: people sign in as at the backup, and nothing that is made now is taken for something that was lost.
func (b *backedUp) peopleGoOn(lastPhoto int) {
	t, s := b.t, b.peopleSite
	t.Helper()
	for edge := range s.urls {
		if !b.keeps.knows(edge) {
			t.Errorf("edge %d has ended a session", edge)
		}
		if b.late.knows(edge) {
			t.Errorf("edge %d has a session of somebody who is not there", edge)
		}
	}
	again := s.person("vivian")
	again.signIn(1).expect(http.StatusSeeOther, "/me") // with the password of the backup
	browser := s.person("")
	browser.form(0, "/signin", url.Values{"passkey": {b.passkey.Get(optionsOf(t, browser.get(0, "/signin")))}}).
		expect(http.StatusSeeOther, "/me")
	next := s.person("next_one")
	next.signUp(2)
	if b.late.knows(2) {
		t.Error("a session of before the restore is one of the next user")
	}
	path := b.upload(next, "Next.jpg")
	var id int
	if _, err := fmt.Sscanf(path, "/photo/%d", &id); err != nil || id <= lastPhoto {
		t.Errorf("the next photo is %s, and %d was given out before", path, lastPhoto)
	}
	if picture := b.visitor.get(0, path).attr(".stage img", "src"); picture == b.picture {
		t.Errorf("the next picture has the address of a lost one, %s", picture)
	}
	again.form(0, "/me/profile", url.Values{"display": {"Restored"}, "bio": {""}}).
		expect(http.StatusSeeOther, "/photos/vivian")
	for edge := range s.urls {
		testenv.Eventually(t, "each edge shows a change", func() bool {
			return strings.Contains(b.mainOf(edge, "/photos/vivian"), "Restored")
		})
	}
}
