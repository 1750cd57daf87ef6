package pictures

import (
	"os"
	"syscall"
)

// syncFileRangeWrite is SYNC_FILE_RANGE_WRITE: begin to write, and do not wait.
const syncFileRangeWrite = 2

// beginWriting has a part of a file written to the disk from now on, so that a later sync has less to wait for. It may
// fail: that sync says what is wrong.
func beginWriting(f *os.File, offset, length int64) {
	_ = syscall.SyncFileRange(int(f.Fd()), offset, length, syncFileRangeWrite)
}
