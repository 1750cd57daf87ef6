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

// BucketHot is the JetStream KV bucket that holds what is in demand: a key for each edge, with the edge's list. Whoever
// has an empty cache to fill reads all of them.
const BucketHot = "HOT"

// HotConfig is the bucket of hot lists, the same whoever makes it first. An edge that is gone is forgotten after a day.
func HotConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: BucketHot, Description: "pages in demand, by edge; see schema/wire",
		TTL:     24 * time.Hour,
		Storage: jetstream.FileStorage, MaxBytes: 64 << 20}
}

// HotSize is how many pages an edge's list has at most.
const HotSize = 1500

// Heat is how often something was asked for lately.
type Heat struct {
	Ref   page.Ref
	Count int64
}

// EncodeHot writes a list: a line for each, "page.user.ansel 1200".
func EncodeHot(list []Heat) []byte {
	b := make([]byte, 0, 40*len(list))
	for _, h := range list {
		b = append(append(b, h.Ref.Subject()...), ' ')
		b = strconv.AppendInt(b, h.Count, 10)
		b = append(b, '\n')
	}
	return b
}

// DecodeHot is the inverse of [EncodeHot]. Lines that name nothing, as those of another version may, are left out and
// named in the error; the rest is good all the same.
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

// MergeHot adds up the lists of several edges, hottest first.
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
