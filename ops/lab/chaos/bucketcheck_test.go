package chaos

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestPicturesCompared: each way in which a bucket can differ from the rows is found, and nothing else.
func TestPicturesCompared(t *testing.T) {
	t.Parallel()
	const id, other = "abcdefghijklmnopqrstuvwxyz", "zbcdefghijklmnopqrstuvwxyz"
	jpeg := &fstest.MapFile{Data: []byte("\xff\xd8\xff small \xff\xd9")}
	const half, orphan = "objects that are not whole", "objects that no row names"
	for name, c := range map[string]struct {
		name   string // of an object that is different; "": none is
		file   *fstest.MapFile
		kept   int64
		misses string
	}{
		"all is well":        {"", nil, 7, ""},
		"no row":             {"", nil, 8, "photos lost"},
		"no original":        {"ab/" + id, nil, 7, "photos lost"},
		"half an original":   {"ab/" + id, &fstest.MapFile{Data: []byte("se")}, 7, half},
		"half a derivative":  {"ab/" + id + ".320.jpg", &fstest.MapFile{Data: jpeg.Data[:5]}, 7, half},
		"an orphan":          {"bb/b" + id[1:], &fstest.MapFile{}, 7, orphan},
		"a late derivative":  {"bb/b" + id[1:] + ".640.jpg", jpeg, 7, orphan},
		"a piece that stays": {"staging/7-x/000", &fstest.MapFile{}, 7, orphan},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Pictures{Uploaded: 1, Removed: 1}
			bucket := fstest.MapFS{
				"ab/" + id: {Data: []byte("sent")}, "ab/" + id + ".320.jpg": jpeg, "zb/" + other: {},
				".sgwtmp/ab/x": {},
			}
			if c.file != nil {
				bucket[c.name] = c.file
			} else {
				delete(bucket, c.name)
			}
			sent := map[int64][]byte{c.kept: []byte("sent")}
			err := p.compare([]string{id, other}, []pictureRow{{7, id}}, sent, bucket)
			if err != nil {
				t.Fatal(err)
			}
			var missed []string
			for _, check := range p.checks() {
				if !check.Met {
					missed = append(missed, check.What)
				}
			}
			if got := strings.Join(missed, ", "); got != c.misses {
				t.Errorf("missed: %q, want %q", got, c.misses)
			}
		})
	}
}
