package pictures

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// The staging area of a Dir is the folder "staging". Each upload has a folder there, "<user>/<id>", with two files:
// "data", to which pieces are written at their places, and "sums", which says how long the file is, and of each piece
// that is there how long it is, and its CRC-32C. So a piece is there once its sum is, and what a crash has damaged is
// found out. Nothing is synced until the file is whole. Then it becomes the original by a second name, see [assembled].
// A folder that is discarded is renamed first, so that no piece gets into it any more.
const (
	stagingFolder = "staging"
	dataFile      = "data"
	sumsFile      = "sums"
	discarded     = "discarded."
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (u Upload) folder() string { return path.Join(stagingFolder, strconv.FormatInt(u.User, 10), u.ID) }

// Begin implements Staging.
func (d *Dir) Begin(_ context.Context, u Upload, length int64) error {
	if !u.valid() || length < 0 || length > MaxFile {
		return ErrBadID
	}
	err := d.root.MkdirAll(u.folder(), folderMode)
	if errors.Is(err, fs.ErrNotExist) { // the user's folder was empty, and went meanwhile
		err = d.root.MkdirAll(u.folder(), folderMode)
	}
	var files *staged
	if err == nil {
		files, err = d.openStaged(u, os.O_CREATE)
	}
	if err == nil {
		var known int64
		if known, err = files.length(); err == nil && known == 0 && length > 0 {
			err = files.setLength(length)
		}
		err = errors.Join(err, files.close())
	}
	if err != nil {
		return fmt.Errorf("pictures: begin upload %s: %w", u.ID, err)
	}
	return nil
}

// Write implements Staging.
func (d *Dir) Write(_ context.Context, u Upload, offset int64, data []byte) error {
	if !u.valid() {
		return ErrBadID
	}
	s, err := d.openStaged(u, 0)
	if err != nil {
		return fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	err = s.write(offset, data)
	if err = errors.Join(err, s.close()); err != nil {
		return fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	return nil
}

// Stored implements Staging. It looks at the list of sums alone: what is damaged is found by Assemble.
func (d *Dir) Stored(_ context.Context, u Upload) (int64, error) {
	if !u.valid() {
		return 0, ErrBadID
	}
	sums, err := d.root.ReadFile(path.Join(u.folder(), sumsFile))
	if err != nil {
		return 0, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	stored := int64(0)
	for at := sumBytes; at+sumBytes <= len(sums); at += sumBytes { // behind the length
		one := readSum(sums[at:])
		stored += int64(one.length)
		if one.length != MaxPiece {
			break
		}
	}
	return stored, nil
}

// Discard implements Staging.
func (d *Dir) Discard(_ context.Context, u Upload) error {
	if !u.valid() {
		return ErrBadID
	}
	away := path.Join(stagingFolder, discarded+rand.Text())
	err := d.root.Rename(u.folder(), away)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_ = d.root.Remove(path.Dir(u.folder())) // if it was the user's last one
		err = d.root.RemoveAll(away)
	}
	if err != nil {
		return fmt.Errorf("pictures: discard upload %s: %w", u.ID, err)
	}
	return nil
}

// KeepsData implements Staging: what Write has written, the kernel has.
func (d *Dir) KeepsData() bool { return false }

// Staged implements Staging. It removes what a process that was killed has left of what it discarded.
func (d *Dir) Staged(ctx context.Context) (all []Upload, err error) {
	users, err := d.list(stagingFolder)
	if err != nil {
		return nil, fmt.Errorf("pictures: list uploads: %w", err)
	}
	for _, user := range users {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if strings.HasPrefix(user, discarded) {
			if err := d.root.RemoveAll(path.Join(stagingFolder, user)); err != nil {
				return nil, fmt.Errorf("pictures: discard an upload: %w", err)
			}
			continue
		}
		ids, err := d.list(path.Join(stagingFolder, user))
		if err != nil {
			return nil, fmt.Errorf("pictures: list uploads: %w", err)
		}
		id, err := strconv.ParseInt(user, 10, 64)
		for _, name := range ids {
			if u := (Upload{id, name}); err == nil && u.valid() {
				all = append(all, u)
			}
		}
	}
	return all, nil
}

// list names what a folder has; nothing if there is no such folder.
func (d *Dir) list(folder string) (names []string, err error) {
	entries, err := fs.ReadDir(d.root.FS(), folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
