package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

// TestPicturesCopy: the command copies a directory into a bucket, says how much that was, and finds nothing to do then.
func TestPicturesCopy(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "pictures"), testenv.S3Bucket(t)
	status, _, stderr := killr(t.Context(), "pictures", "copy", from, to)
	if status != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("a directory that is not there: %d, %s", status, stderr)
	}
	dir, err := pictures.OpenDir(from)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	id := pictures.ID(nil)
	for _, name := range []string{id, pictures.DraftName(id)} {
		if err := dir.Put(t.Context(), name, strings.NewReader("a picture")); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"Copied 2 files of", "; 2 were there"} {
		status, stdout, stderr := killr(t.Context(), "pictures", "copy", from, to)
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%d, %s%s; want %q", status, stdout, stderr, want)
		}
	}
	bucket, err := pictures.OpenFiles(to)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	if files, size, err := bucket.Size(t.Context(), id); files != 2 || size != 18 || err != nil {
		t.Errorf("the bucket has %d files of %d bytes (%v)", files, size, err)
	}
	if status, _, stderr := killr(t.Context(), "pictures", "copy", from, from); status != 1 ||
		!strings.Contains(stderr, "there already") {
		t.Errorf("onto itself: %d, %s", status, stderr)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	for _, want := range []string{"Copied 1 files of", "Copied 0 files of"} { // the original alone, once
		status, stdout, stderr := killr(t.Context(), "pictures", "copy", "--backup", from, backup)
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("a backup: %d, %s%s; want %q", status, stdout, stderr, want)
		}
	}
	missing := strings.Replace(to, "s3://", "s3://not-", 1)
	if status, _, stderr := killr(t.Context(), "pictures", "copy", from, missing); status != 1 ||
		!strings.Contains(stderr, "no such bucket") {
		t.Errorf("into a bucket that is not there: %d, %s", status, stderr)
	}
}

// A bucket whose address names no keys gets those of --pictures-credentials; a path becomes absolute.
func TestPicturePlaces(t *testing.T) {
	t.Parallel()
	s := &session{data: "/data"}
	for _, c := range []struct {
		flags       pictureFlags
		first, also string
	}{
		{pictureFlags{}, "/data/pictures", ""},
		{pictureFlags{Pictures: "/p", PicturesAlso: "s3://photos"}, "/p", "s3://photos"},
		{pictureFlags{Pictures: "s3://photos/x?region=r", PicturesAlso: "s3://old?credentials=/own",
			PicturesCredentials: "/keys"}, "s3://photos/x?credentials=%2Fkeys&region=r", "s3://old?credentials=/own"},
	} {
		if first, also := c.flags.places(s); first != c.first || also != c.also {
			t.Errorf("%+v: %q and %q, want %q and %q", c.flags, first, also, c.first, c.also)
		}
	}
}
