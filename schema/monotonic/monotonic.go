// Package monotonic gives times that goroutines share in an atomic integer, and that a step of the machine's clock does
// not move.
//
// **Input**: none. **Output**: nanoseconds. **Must not touch**: anything but the clock. They mean nothing to another
// process.
package monotonic

import "time"

// start is a reading of the monotonic clock, from which all times count.
var start = time.Now()

// Now is the time, in nanoseconds: 1 or more, so that 0 can stand for "never".
func Now() int64 { return int64(time.Since(start)) + 1 }

// Since is how long ago a time of [Now] was.
func Since(at int64) time.Duration { return time.Duration(Now() - at) }
