package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"flickrkillr/renderer/pictures"
)

// pictureFlags say where the pictures are.
type pictureFlags struct {
	Pictures     string `placeholder:"WHERE" help:"Directory of the pictures (default: 'pictures' in the data directory), or a bucket: s3://BUCKET/PREFIX?endpoint=https://HOST&region=R&ca=FILE&credentials=FILE. Without credentials the keys are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."`
	PicturesAlso string `placeholder:"WHERE" help:"While pictures move: another directory or bucket in which to look for pictures that are not where --pictures says, see 'killr pictures copy'."`
}

// pictures is where the pictures are: the named bucket or directory, or the directory in the data directory.
func (s *session) pictures(named string) string {
	if named == "" {
		return filepath.Join(s.data, "pictures")
	}
	return place(named)
}

// picturesAlso is where pictures are, too; "": nowhere.
func (s *session) picturesAlso(named string) string {
	if named == "" {
		return ""
	}
	return place(named)
}

// place is a bucket as it is named, or the path of a directory.
func place(named string) string {
	if pictures.InBucket(named) {
		return named
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
}

// Help says how pictures move while a site serves.
func (*picturesCopyCommand) Help() string {
	return `To move pictures while a site serves, in this order:

1. Restart each renderer with --pictures FROM --pictures-also TO.
2. Restart each renderer with --pictures TO --pictures-also FROM.
3. Run killr pictures copy FROM TO. Cut short, it is run again, and goes on.
4. Restart each renderer with --pictures TO. Then FROM can go.

A site with a single renderer, and one that "up" runs, needs no step 1.`
}

func (c *picturesCopyCommand) Run(s *session) (err error) {
	from, to := place(c.From), place(c.To)
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
	so, err := pictures.Copy(s.ctx, source, target, func(so pictures.Copied) {
		if time.Since(logged) > progressEvery {
			logged = time.Now()
			s.log.Info("copying pictures", "copied", so.Files, "bytes", so.Bytes, "there", so.There)
		}
	})
	fmt.Fprintf(s.stdout, "Copied %d files of %.1f MB in %.1f s and read them back; %d were there, "+
		"%d were deleted meanwhile\n", so.Files, float64(so.Bytes)/1e6, time.Since(began).Seconds(), so.There, so.Gone)
	if err != nil {
		return fmt.Errorf("not all pictures are copied, run it again: %w", err)
	}
	return nil
}
