package discovery

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Times counts how long requests took since the start. Its counts only rise, so the difference of two readings is what
// came between them: that is how instances are compared over the same seconds. Use it by many goroutines.
type Times struct {
	counts [timeBuckets]atomic.Int64
}

// A bucket is a quarter of the way from one power of two to the next, in microseconds: bounds are 19 to 25% apart.
const (
	quarters    = 4
	timeBuckets = quarters * 27 // up to 67 s; the last one also has what took longer
)

// Add counts a request.
func (t *Times) Add(d time.Duration) {
	t.counts[bucketOf(d)].Add(1)
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < quarters {
		return int(us)
	}
	octave := bits.Len64(us) - 1 // at least 2
	return min(quarters*(octave-1)+int(us>>(octave-2))%quarters, timeBuckets-1)
}

// boundOf is what all in a bucket are shorter than.
func boundOf(bucket int) time.Duration {
	bucket++
	if bucket < quarters {
		return time.Duration(bucket) * time.Microsecond
	}
	octave := bucket/quarters + 1
	return time.Duration(quarters+bucket%quarters) << (octave - 2) * time.Microsecond
}

// Counts reads what was counted so far.
func (t *Times) Counts() TimeCounts {
	all := TimeCounts{}
	for i := range t.counts {
		if n := t.counts[i].Load(); n != 0 {
			all[i] = n
		}
	}
	return all
}

// TimeCounts is how many requests each bucket has. As JSON: {"41":12}.
type TimeCounts map[int]int64

// Add adds the counts of others, times factor: -1 takes them off.
func (c *TimeCounts) Add(others TimeCounts, factor int64) {
	if *c == nil {
		*c = TimeCounts{}
	}
	for bucket, n := range others {
		(*c)[bucket] += factor * n
	}
}

// Quantile is the time that a part of the requests (.99: all but a hundredth) took at most, up to a quarter more. 0:
// there are none.
func (c TimeCounts) Quantile(part float64) time.Duration {
	total := int64(0)
	for _, n := range c {
		total += n
	}
	sum := int64(0)
	for bucket := range timeBuckets {
		sum += c[bucket]
		if total > 0 && float64(sum) >= part*float64(total) {
			return boundOf(bucket)
		}
	}
	return 0
}
