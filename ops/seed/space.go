package seed

import (
	"fmt"

	"flickrkillr/ops/stack"
)

// SpaceError says that the disk is too full to seed. Needed and Available are bytes.
type SpaceError struct {
	Dir               string
	Needed, Available int64
}

func (e *SpaceError) Error() string {
	const mib = 1 << 20
	return fmt.Sprintf("seed: %s has %d MiB free; seeding needs about %d MiB (%d bytes available, %d needed): free some, or seed fewer photos",
		e.Dir, e.Available/mib, e.Needed/mib, e.Available, e.Needed)
}

// Disk space of a seeding. Measured on PostgreSQL 15: 1,200 bytes a photo with its tags, albums, indexes and search
// index, and as much again of log where wal_level is not minimal; 0.1 bytes a pixel of an original, and as much again
// for its derivatives. The rest is a reserve.
const (
	bytesPerPhoto         = 2600
	bytesPerUser          = 500
	originalBytesPerPixel = 0.1
	bytesPerPixel         = 0.3
	bytesAnyway           = 64 << 20
)

func needed(c Config) int64 {
	long := float64(max(c.Long, c.LongFirst))
	pixels := float64(c.Originals) * long * long * 0.65
	return int64(c.Photos)*bytesPerPhoto + int64(c.Users)*bytesPerUser + int64(pixels*bytesPerPixel) + bytesAnyway
}

func checkSpace(c Config) error {
	if c.Disk == "" {
		return nil
	}
	available, err := stack.FreeSpace(c.Disk)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if need := needed(c); available < need {
		return &SpaceError{Dir: c.Disk, Needed: need, Available: available}
	}
	return nil
}
