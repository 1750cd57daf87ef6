package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"flickrkillr/schema/wire"
)

// setCount returns a text of site.toml with another number of instances of a role, and everything else as it was.
func setCount(text []byte, role wire.Role, n int) ([]byte, error) {
	if role != wire.RoleRenderer && role != wire.RoleCachefill {
		return nil, fmt.Errorf("there is no number of instances of %s: scale renderer or cachefill", role)
	}
	number := strconv.Itoa(n)
	at := linesOf(text)
	if key, ok := at["counts."+string(role)]; ok {
		return splice(text, key.start, key.end, number), nil
	}
	line := string(role) + " = " + number + "\n"
	table, ok := at["counts"]
	if !ok {
		return append(text[:len(text):len(text)], "\n[counts]\n"+line...), nil
	}
	below := 0
	for range table.line {
		for below < len(text) && text[below] != '\n' {
			below++
		}
		below++
	}
	if below > len(text) { // [counts] is the last line, and has no end
		return append(text[:len(text):len(text)], "\n"+line...), nil
	}
	return splice(text, below, below, line), nil
}

func splice(text []byte, start, end int, with string) []byte {
	out := append([]byte(nil), text[:start]...)
	return append(append(out, with...), text[end:]...)
}

// replaceFile writes a file under another name and renames it: readers see the old or the new one.
func replaceFile(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	making, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".making-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(making.Name()) }()
	_, err = making.Write(text)
	err = errors.Join(err, making.Chmod(info.Mode().Perm()), making.Sync(), making.Close())
	if err != nil {
		return err
	}
	return os.Rename(making.Name(), path)
}
