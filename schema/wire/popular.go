package wire

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/page"
)

// BucketPopular is the JetStream KV bucket of popularity lists, one for each edge. A cachefill with an empty memcached
// server reads all of them.
const BucketPopular = "HOT"

// PopularConfig is the configuration of the bucket. The list of an edge that is gone expires after a day.
func PopularConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketPopular, Description: "popular pages, by edge; see schema/wire",
		TTL:     24 * time.Hour,
		Storage: jetstream.FileStorage, MaxBytes: 64 << 20}
}

// MaxPopular is the most pages of one list.
const MaxPopular = 1500

// Popular is the popularity of a page: how often it was requested recently.
type Popular struct {
	Ref   page.Ref
	Count int64
}

// EncodePopular writes a list, one line for each page: "page.user.ansel 1200".
func EncodePopular(list []Popular) []byte {
	b := make([]byte, 0, 40*len(list))
	for _, p := range list {
		b = append(append(b, p.Ref.Subject()...), ' ')
		b = strconv.AppendInt(b, p.Count, 10)
		b = append(b, '\n')
	}
	return b
}

// DecodePopular is the inverse of [EncodePopular]. It skips unreadable lines, such as those of another version, and
// returns an error that names one beside the rest of the list.
func DecodePopular(data []byte) (list []Popular, err error) {
	for line := range bytes.Lines(data) {
		subject, digits, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		ref, parseErr := page.ParseSubject(subject)
		count, countErr := strconv.ParseInt(digits, 10, 64)
		if parseErr != nil || countErr != nil || count < 0 {
			err = fmt.Errorf("popularity list: line %.80q is not <subject> <count>", line)
			continue
		}
		list = append(list, Popular{ref, count})
	}
	return list, err
}

// MergePopular adds up the lists of several edges, most popular first.
func MergePopular(lists ...[]Popular) []Popular {
	sums := map[page.Ref]int64{}
	for _, list := range lists {
		for _, p := range list {
			sums[p.Ref] += p.Count
		}
	}
	all := make([]Popular, 0, len(sums))
	for ref, count := range sums {
		all = append(all, Popular{ref, count})
	}
	slices.SortFunc(all, func(a, b Popular) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Ref.Subject(), b.Ref.Subject()))
	})
	return all
}
