package ladder

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Versus compares how long it takes to read one thumbnail from a file and from memcached, in microseconds.
type Versus struct {
	Thumbnail string `json:"thumbnail"`
	Bytes     int    `json:"bytes"`
	File      Spread `json:"file"`
	Memcached Spread `json:"memcached"`
}

// Spread is the median and the 99th percentile.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

const fetches = 3000

// versus reads the first thumbnail of the folder from each in turn. The file is in the page cache of the kernel,
// because that is the alternative to memcached on one machine.
func versus(ctx context.Context, dir, addr string) (*Versus, error) {
	all, err := filepath.Glob(filepath.Join(dir, "img", "*", "320.jpg"))
	if err != nil || len(all) == 0 {
		return nil, fmt.Errorf("no thumbnail in %s: %w", dir, cmp.Or(err, os.ErrNotExist))
	}
	name, err := filepath.Rel(dir, all[0])
	if err != nil {
		return nil, err
	}
	v := &Versus{Thumbnail: "/" + filepath.ToSlash(name)}
	client := memcache.New(addr)
	client.Timeout = 5 * time.Second
	defer client.Close()
	var files, items []time.Duration
	for range fetches {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := time.Now()
		body, err := os.ReadFile(all[0])
		files = append(files, time.Since(began))
		if err != nil {
			return nil, err
		}
		began = time.Now()
		item, err := client.Get(v.Thumbnail)
		items = append(items, time.Since(began))
		if err != nil {
			return nil, fmt.Errorf("%s in memcached: %w", v.Thumbnail, err)
		}
		if v.Bytes = len(item.Value); v.Bytes != len(body) {
			return nil, fmt.Errorf("%s has %d bytes in its file and %d in memcached", v.Thumbnail, len(body), v.Bytes)
		}
	}
	v.File, v.Memcached = spread(files), spread(items)
	return v, nil
}

func spread(times []time.Duration) Spread {
	slices.Sort(times)
	at := func(part float64) float64 {
		return float64(times[int(part*float64(len(times)-1))].Nanoseconds()) / 1000
	}
	return Spread{P50: at(0.5), P99: at(0.99)}
}
