package pictures

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"
)

// staged is the files of an upload, opened.
//
// Who writes a piece has a shared lock on the data, who assembles the file an exclusive one, so nobody changes what was
// checked. Nobody waits for a lock: a process that is frozen may have it for long. A file that has a second name is, or
// was, an original: nobody writes to it.
type staged struct {
	folder     *os.Root
	data, sums *os.File
}

// openStaged opens the files of an upload; create is os.O_CREATE or 0.
func (d *Dir) openStaged(u Upload, create int) (*staged, error) {
	folder, err := d.root.OpenRoot(u.folder())
	if err != nil {
		return nil, err
	}
	s := &staged{folder: folder}
	if s.data, err = folder.OpenFile(dataFile, os.O_RDWR|create, fileMode); err == nil {
		s.sums, err = folder.OpenFile(sumsFile, os.O_RDWR|create, fileMode)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close closes the files, which releases a lock.
func (s *staged) close() error {
	var errs []error
	for _, f := range []*os.File{s.data, s.sums} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, s.folder.Close())...)
}

// lock takes a lock on the data, or returns ErrBusy.
func (s *staged) lock(how int) error {
	err := syscall.Flock(int(s.data.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}

// sum is what the file "sums" says of a piece.
type sum struct {
	length, crc uint32 // length 0: it is not there
}

// sumBytes is the length of a sum in the file, and of the length of the whole, which stands before them.
const sumBytes = 8

// sumAt is where the sum of a piece stands.
func sumAt(offset int64) int64 { return sumBytes + offset/MaxPiece*sumBytes }

func sumOf(piece []byte) sum { return sum{uint32(len(piece)), crc32.Checksum(piece, castagnoli)} }

func readSum(b []byte) sum { return sum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])} }

// length is the length of the file, 0 if that is not known.
func (s *staged) length() (int64, error) {
	var b [sumBytes]byte
	if _, err := s.sums.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	length := binary.BigEndian.Uint64(b[:])
	if length > MaxFile { // damaged: what follows is checked when the upload is finished
		return 0, nil
	}
	return int64(length), nil
}

func (s *staged) setLength(length int64) error {
	_, err := s.sums.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(length)), 0)
	return err
}

// note says of a piece that it is there, or that it is not.
func (s *staged) note(offset int64, one sum) error {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, one.length), one.crc)
	_, err := s.sums.WriteAt(b, sumAt(offset))
	return err
}

// noted is the sum of a piece.
func (s *staged) noted(offset int64) (sum, error) {
	var b [sumBytes]byte
	if _, err := s.sums.ReadAt(b[:], sumAt(offset)); err != nil && !errors.Is(err, io.EOF) {
		return sum{}, err
	}
	return readSum(b[:]), nil
}

// write writes a piece to its place, and has it on its way to the disk.
func (s *staged) write(offset int64, piece []byte) error {
	length, err := s.length()
	if err != nil {
		return err
	}
	if !fits(length, offset, len(piece)) {
		return ErrBadPiece
	}
	if err := s.lock(syscall.LOCK_SH); err != nil {
		return err
	}
	// By its name: when the upload has been discarded since, an original has lost a name, and may have one left.
	info, err := s.folder.Stat(dataFile)
	if err != nil {
		return err
	}
	if names(info) > 1 {
		if one, err := s.noted(offset); err != nil || one != sumOf(piece) {
			return errors.Join(ErrBadPiece, err)
		}
		return nil
	}
	if _, err := s.data.WriteAt(piece, offset); err != nil {
		return err
	}
	beginWriting(s.data, offset, int64(len(piece)))
	return s.note(offset, sumOf(piece))
}

// names is how many names a file has.
func names(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink)
	}
	return 1
}

// assembled is the [Assembled] of a Dir.
type assembled struct {
	dir    *Dir
	upload Upload
	files  *staged
	data   []byte // from wholeFiles, until Close
	lent   bool   // to another store, whose connections may read data for longer than its Put takes
	sums   Checksums
	synced chan error // whether the data are on the disk; nil: somebody else writes to the file, or assembles it
}

// Assemble implements Staging. It forgets pieces that are damaged.
func (d *Dir) Assemble(ctx context.Context, u Upload, length int64) (Assembled, error) {
	if !u.valid() || length < 0 || length > MaxFile {
		return nil, ErrBadID
	}
	files, err := d.openStaged(u, 0)
	if err != nil {
		return nil, fmt.Errorf("pictures: upload %s: %w", u.ID, err)
	}
	a := &assembled{dir: d, upload: u, files: files}
	if err := a.read(ctx, length); err != nil {
		return nil, fmt.Errorf("pictures: upload %s: %w", u.ID, errors.Join(err, a.Close()))
	}
	return a, nil
}

func (a *assembled) read(ctx context.Context, length int64) error {
	known, err := a.files.length()
	if err == nil && known != 0 && known != length {
		err = ErrMissingPiece
	}
	if err != nil {
		return err
	}
	alone := a.files.lock(syscall.LOCK_EX)
	if alone == nil {
		// Pieces may have been written behind the end while the length was not known.
		if info, err := a.files.data.Stat(); err != nil {
			return err
		} else if info.Size() > length && names(info) > 1 { // the pieces are of an upload that has ended
			return ErrMissingPiece
		} else if info.Size() > length {
			if err := a.files.data.Truncate(length); err != nil {
				return err
			}
		}
		a.synced = make(chan error, 1)
		go func() { a.synced <- a.files.data.Sync() }() // while it is read and checked; Close waits for it
	} else if !errors.Is(alone, ErrBusy) {
		return alone
	}
	a.data = takeWhole(int(length))
	summing := newSumming()
	defer summing.close()
	for offset := int64(0); offset < length; offset += MaxPiece {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece := a.data[offset:min(offset+MaxPiece, length)]
		n, err := a.files.data.ReadAt(piece, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		one, err := a.files.noted(offset)
		if err != nil {
			return err
		}
		if n < len(piece) || one != sumOf(piece) {
			return errors.Join(ErrMissingPiece, a.files.note(offset, sum{}))
		}
		summing.add(piece) // now, while the processor's cache has it
	}
	a.sums = summing.sums()
	return nil
}

// wholeFiles are buffers of files that were assembled. A new one costs more than to read a file into it.
var wholeFiles sync.Pool

// takeWhole returns a buffer of a length. What is in it is not known.
func takeWhole(length int) []byte {
	if buf, ok := wholeFiles.Get().(*[]byte); ok && cap(*buf) >= length {
		return (*buf)[:length]
	}
	return make([]byte, length)
}

func (a *assembled) Data() []byte { return a.data }

func (a *assembled) Checksums() Checksums { return a.sums }

// Keep gives the file a second name, by which it is an original. It copies the file instead where it is not alone with
// it, for another store, where there is such an original, which may be damaged, and on a disk without second names.
func (a *assembled) Keep(ctx context.Context, store Store, id string) error {
	if dir, ok := store.(*Dir); ok && dir == a.dir && a.synced != nil && ValidID(id) {
		err := <-a.synced
		a.synced <- err // for Close
		if err == nil {
			err = ctx.Err() // see Put
		}
		if err != nil {
			return fmt.Errorf("pictures: keep %s: %w", id, err)
		}
		if a.dir.link(path.Join(a.upload.folder(), dataFile), id) == nil {
			return nil
		}
	}
	if _, isDir := store.(*Dir); !isDir {
		a.lent = true
	}
	return store.Put(ctx, id, bytes.NewReader(a.data))
}

func (a *assembled) Close() error {
	if a.synced != nil {
		<-a.synced // whether that went well only Keep has to know
	}
	if a.data != nil {
		data := a.data
		if a.data = nil; !a.lent {
			wholeFiles.Put(&data)
		}
	}
	return a.files.close()
}

// link gives a file whose data are on the disk a second name, that of an original.
func (d *Dir) link(file, id string) error {
	if err := d.makeFolder(id); err != nil {
		return err
	}
	err := d.root.Link(file, fileName(id))
	if err != nil && !(errors.Is(err, fs.ErrExist) && d.same(file, fileName(id))) {
		return err
	}
	return d.syncFolder(id[:2])
}

// same reports whether two names are of the same file.
func (d *Dir) same(name, other string) bool {
	a, err := d.root.Stat(name)
	b, otherErr := d.root.Stat(other)
	return err == nil && otherErr == nil && os.SameFile(a, b)
}
