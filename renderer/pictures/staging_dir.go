package pictures

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// The staging area of a Dir is the folder "staging". Each upload has a folder there, "<user>/<id>", with a file
// "length" and a file for each piece, named by its offset. A piece ends with its CRC-32C. It is written to a temporary
// file in the same folder and renamed; nothing is synced. A folder that is discarded is renamed first, so that no piece
// gets into it any more.
const (
	stagingFolder = "staging"
	lengthFile    = "length"
	tmpPiece      = "tmp."
	discarded     = "discarded."
	sumLength     = 4
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
	if err == nil {
		var known int64
		if known, err = d.length(u); err == nil && known == 0 && length > 0 || errors.Is(err, fs.ErrNotExist) {
			err = d.stage(u, lengthFile, strconv.AppendInt(nil, length, 10))
		}
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
	length, err := d.length(u)
	if err == nil && !fits(length, offset, len(data)) {
		return ErrBadPiece
	}
	if err == nil {
		err = d.stage(u, strconv.FormatInt(offset, 10), data, binary.BigEndian.AppendUint32(nil,
			crc32.Checksum(data, castagnoli)))
	}
	if err != nil {
		return fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	return nil
}

// Stored implements Staging. It looks at sizes alone: what is damaged is found by Read, which removes it.
func (d *Dir) Stored(_ context.Context, u Upload) (int64, error) {
	if !u.valid() {
		return 0, ErrBadID
	}
	if _, err := d.root.Stat(u.folder()); err != nil {
		return 0, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	for offset := int64(0); ; offset += MaxPiece {
		info, err := d.root.Stat(path.Join(u.folder(), strconv.FormatInt(offset, 10)))
		if errors.Is(err, fs.ErrNotExist) {
			return offset, nil
		}
		if err != nil {
			return 0, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
		}
		if size := max(0, info.Size()-sumLength); size != MaxPiece {
			length, err := d.length(u)
			if err != nil {
				return 0, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
			}
			if length != 0 && offset+size != length { // a crash of the machine has cut it
				return offset, nil
			}
			return offset + size, nil
		}
	}
}

// Read implements Staging. It removes pieces that are damaged.
func (d *Dir) Read(ctx context.Context, u Upload, length int64) ([]byte, error) {
	if !u.valid() || length < 0 || length > MaxFile {
		return nil, ErrBadID
	}
	known, err := d.length(u)
	if err == nil && known != 0 && known != length {
		err = ErrMissingPiece
	}
	if err != nil {
		return nil, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	data, err := assemble(length, func(offset int64) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return d.piece(path.Join(u.folder(), strconv.FormatInt(offset, 10)))
	})
	if err != nil {
		return nil, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	return data, nil
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

// length is the length of an upload's file, 0 if that is not known.
func (d *Dir) length(u Upload) (int64, error) {
	digits, err := d.root.ReadFile(path.Join(u.folder(), lengthFile))
	if err != nil {
		return 0, err
	}
	length, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || length < 0 || length > MaxFile { // damaged: what follows is checked when the upload is finished
		return 0, nil
	}
	return length, nil
}

// stage writes a file into an upload's folder.
func (d *Dir) stage(u Upload, name string, parts ...[]byte) error {
	tmp := path.Join(u.folder(), tmpPiece+rand.Text())
	f, err := d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err == nil {
			_, err = f.Write(part)
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.root.Rename(tmp, path.Join(u.folder(), name))
	}
	if err != nil {
		return errors.Join(err, d.remove(tmp))
	}
	return nil
}

// piece reads a piece. It removes one that is damaged, which then is ErrMissingPiece.
func (d *Dir) piece(name string) ([]byte, error) {
	f, err := d.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissingPiece
	}
	if err != nil {
		return nil, err
	}
	buf := bytes.NewBuffer(make([]byte, 0, MaxPiece+sumLength+bytes.MinRead))
	_, err = buf.ReadFrom(io.LimitReader(f, MaxPiece+sumLength+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	data := buf.Bytes()
	if n := len(data) - sumLength; n > 0 && n <= MaxPiece &&
		binary.BigEndian.Uint32(data[n:]) == crc32.Checksum(data[:n], castagnoli) {
		return data[:n], nil
	}
	return nil, errors.Join(ErrMissingPiece, d.remove(name))
}
