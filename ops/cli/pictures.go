package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
)

// pictureFlags say where the pictures are.
type pictureFlags struct {
	Pictures     string `placeholder:"WHERE" help:"Directory of the pictures (default: 'pictures' in the data directory), or a bucket: s3://BUCKET/PREFIX?endpoint=https://HOST&region=R&ca=FILE&credentials=FILE."`
	PicturesAlso string `placeholder:"WHERE" help:"While pictures move: another directory or bucket in which to look for pictures that are not where --pictures says, see 'killr pictures copy'."`

	PicturesCredentials string `type:"path" placeholder:"FILE" help:"File with the keys of buckets whose address names none, in the form of ~/.aws/credentials (default: they are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."`
}

// places are the places of the pictures: the named one, or the directory in the data directory; and another one while
// pictures move, or "".
func (f pictureFlags) places(s *session) (first, also string) {
	first = filepath.Join(s.data, "pictures")
	if f.Pictures != "" {
		first = place(f.Pictures, f.PicturesCredentials)
	}
	if f.PicturesAlso != "" {
		also = place(f.PicturesAlso, f.PicturesCredentials)
	}
	return first, also
}

// place is a bucket as it is named, with a file that has its keys unless it names one, or the path of a directory.
func place(named, keys string) string {
	if pictures.InBucket(named) {
		return pictures.WithCredentials(named, keys)
	}
	return kong.ExpandPath(named)
}

// picturesCommand is about where pictures are.
type picturesCommand struct {
	Copy picturesCopyCommand `cmd:"" help:"Copy all pictures from one directory or bucket to another, also while the site serves."`
}

type picturesCopyCommand struct {
	From string `arg:"" placeholder:"FROM" help:"Directory, or bucket as in --pictures of 'renderer'."`
	To   string `arg:"" placeholder:"TO" help:"Directory, or bucket, that gets what it does not have."`

	Postgres string `env:"DATABASE_URL" placeholder:"URL" help:"Address of the site's database, if the site serves meanwhile: it then removes copies of what people have deleted."`

	Backup bool `help:"TO is a backup: copy originals alone, and keep there what people delete. Sizes that pages show are made again from originals."`

	PicturesCredentials string `type:"path" placeholder:"FILE" help:"File with the keys of buckets whose address names none, in the form of ~/.aws/credentials (default: they are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."`
}

// Help says how pictures move while a site serves.
func (*picturesCopyCommand) Help() string {
	return `To move pictures while a site serves, in this order:

1. Restart each renderer with --pictures FROM --pictures-also TO.
2. Restart each renderer with --pictures TO --pictures-also FROM.
3. Run killr pictures copy FROM TO --postgres URL. If it is cut short or says so, it is run again, until it succeeds:
   it compares what is there, and finds copies of what was deleted meanwhile, which the site removes 30 s later.
4. Restart each renderer with --pictures TO. Never run the copy again from then on. Then FROM can go.

The copy itself deletes nothing. Do not seed meanwhile. A site with a single
renderer, and one that "up" runs, needs no step 1.

A backup is killr pictures copy --backup FROM TO. It copies what TO lacks.`
}

func (c *picturesCopyCommand) Run(s *session) (err error) {
	from, to := place(c.From, c.PicturesCredentials), place(c.To, c.PicturesCredentials)
	if from == to {
		return errors.New("the pictures are there already: name another place to copy them to")
	}
	if !pictures.InBucket(from) { // opening one would make it
		if _, err := os.Stat(from); err != nil {
			return err
		}
	}
	source, err := pictures.OpenFiles(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := pictures.OpenFiles(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	for _, b := range append(pictures.Buckets(source), pictures.Buckets(target)...) {
		if _, err := b.Check(s.ctx); err != nil {
			return err
		}
	}
	began, logged := time.Now(), time.Now()
	copied := pictures.Copy
	if c.Backup {
		copied = pictures.Backup
	}
	so, err := copied(s.ctx, source, target, func(so pictures.Copied) {
		if time.Since(logged) > progressEvery {
			logged = time.Now()
			s.log.Info("copying pictures", "copied", so.Files, "bytes", so.Bytes, "there", so.There)
		}
	})
	if err == nil && c.Postgres != "" && !c.Backup {
		err = withPool(s.ctx, c.Postgres, func(pool *pgxpool.Pool) error {
			n, err := store.RemoveUnknown(s.ctx, pool, pictures.IDs(s.ctx, target))
			if n > 0 {
				s.log.Info("the site removes copies of what was deleted", "pictures", n)
			}
			return err
		})
	} else if err == nil && so.Gone > 0 && !c.Backup {
		err = errors.New("some pictures were deleted meanwhile: name the site's database by --postgres, " +
			"so that no copies of them stay")
	}
	fmt.Fprintf(s.stdout, "Copied %d files of %.1f MB in %.1f s and read them back; %d were there, "+
		"%d were deleted meanwhile\n", so.Files, float64(so.Bytes)/1e6, time.Since(began).Seconds(), so.There, so.Gone)
	if err != nil {
		return fmt.Errorf("not all is done, run it again: %w", err)
	}
	return nil
}
