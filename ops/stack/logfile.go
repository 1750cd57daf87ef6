package stack

import (
	"errors"
	"io"
	"os"
	"strings"
)

// maxLog is how large a service's log may be when it starts; a larger one is set aside as <name>.1.
const maxLog = 8 << 20 // bytes

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// logSince returns the end of what was logged after offset: at most 2 KiB, whole lines. If the log cannot be
// read it returns why.
func logSince(path string, offset int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err.Error()
	}
	data, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	const most = 2 << 10
	if len(data) > most {
		data = data[len(data)-most:]
		if _, rest, ok := strings.Cut(string(data), "\n"); ok {
			return rest
		}
	}
	return string(data)
}
