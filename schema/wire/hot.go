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

// BucketHot is the JetStream KV bucket of popularity lists, one for each edge. A cachefill with an empty memcached
// server reads all of them.
const BucketHot = "HOT"

// HotConfig is the configuration of the bucket, whoever creates it. The list of an edge that is gone expires after a
// day.
func HotConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketHot, Description: "pages in demand, by edge; see schema/wire",
		TTL:     24 * time.Hour,
		Storage: jetstream.FileStorage, MaxBytes: 64 << 20}
}

// HotSize is the most pages of one list.
const HotSize = 1500

// Heat is the popularity of a page: how often it was requested recently.
type Heat struct {
	Ref   page.Ref
	Count int64
}

// EncodeHot writes a list, one line for each page: "page.user.ansel 1200".
func EncodeHot(list []Heat) []byte {
	b := make([]byte, 0, 40*len(list))
	for _, h := range list {
		b = append(append(b, h.Ref.Subject()...), ' ')
		b = strconv.AppendInt(b, h.Count, 10)
		b = append(b, '\n')
	}
	return b
}

// DecodeHot is the inverse of [EncodeHot]. It skips unreadable lines, such as those of another version, and returns
// an error that names one beside the rest of the list.
func DecodeHot(data []byte) (list []Heat, err error) {
	for line := range bytes.Lines(data) {
		subject, digits, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		ref, parseErr := page.ParseSubject(subject)
		count, countErr := strconv.ParseInt(digits, 10, 64)
		if parseErr != nil || countErr != nil || count < 0 {
			err = fmt.Errorf("hot list: line %.80q is not <subject> <count>", line)
			continue
		}
		list = append(list, Heat{ref, count})
	}
	return list, err
}

// MergeHot adds up the lists of several edges, most popular first.
func MergeHot(lists ...[]Heat) []Heat {
	sums := map[page.Ref]int64{}
	for _, list := range lists {
		for _, h := range list {
			sums[h.Ref] += h.Count
		}
	}
	all := make([]Heat, 0, len(sums))
	for ref, count := range sums {
		all = append(all, Heat{ref, count})
	}
	slices.SortFunc(all, func(a, b Heat) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Ref.Subject(), b.Ref.Subject()))
	})
	return all
}
