// Package zipfile writes the parts of a zip file whose files are stored as they are (APPNOTE 6.3, methods 0 and zip64),
// each from what is known of the files before their bytes are read. So the length of the whole is known, and any range
// of it can be made alone.
//
// Input: names, sizes and checksums of files, in their order. Output: headers, the directory, and where everything is.
//
// Must not touch: the bytes of the files, which stand between the headers as they are.
package zipfile

import (
	"encoding/binary"
	"time"
)

// Entry is a file in a zip file.
type Entry struct {
	Name     string // with slashes between folders, UTF-8, at most 65,535 bytes
	Size     int64  // bytes
	CRC32    uint32 // IEEE
	Modified time.Time
}

const (
	localHead     = 30
	directoryHead = 46
	endSize       = 22
	end64Size     = 56 + 20 // the zip64 end and its locator

	max16 = 1<<16 - 1 // stands for a number that zip64 fields have
	max32 = 1<<32 - 1

	flagUTF8       = 1 << 11
	extraZip64     = 1
	versionPlain   = 20
	versionZip64   = 45
	madeByUnix     = 3 << 8
	attributesFile = 0o100644 << 16 // a regular file that its owner may write and all may read
)

// large reports whether a file is so large that its sizes are in zip64 fields.
func (e *Entry) large() bool { return e.Size >= max32 }

// LocalSize is the length of the header before the bytes of a file.
func (e *Entry) LocalSize() int64 {
	n := int64(localHead + len(e.Name))
	if e.large() {
		n += 4 + 16
	}
	return n
}

// AppendLocal appends the header before the bytes of a file.
func (e *Entry) AppendLocal(b []byte) []byte {
	extra := 0
	if e.large() {
		extra = 4 + 16
	}
	b = binary.LittleEndian.AppendUint32(b, 0x04034b50)
	b = e.appendCommon(b, e.large(), extra)
	b = append(b, e.Name...)
	if e.large() {
		b = appendZip64(b, uint64(e.Size), uint64(e.Size))
	}
	return b
}

// appendCommon appends what both headers of a file have, from the version on until the length of the extra field.
func (e *Entry) appendCommon(b []byte, zip64 bool, extra int) []byte {
	version := uint16(versionPlain)
	if zip64 {
		version = versionZip64
	}
	size := uint32(max32)
	if !e.large() {
		size = uint32(e.Size)
	}
	date, clock := dosTime(e.Modified)
	for _, field := range []uint16{version, flagUTF8, 0, clock, date} {
		b = binary.LittleEndian.AppendUint16(b, field)
	}
	for _, field := range []uint32{e.CRC32, size, size} {
		b = binary.LittleEndian.AppendUint32(b, field)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	return binary.LittleEndian.AppendUint16(b, uint16(extra))
}

// zip64Size is the length of the extra field in the directory of a file whose header is at a place; 0: it needs none.
func (e *Entry) zip64Size(at int64) int {
	n := 0
	if e.large() {
		n += 16
	}
	if at >= max32 {
		n += 8
	}
	if n > 0 {
		n += 4
	}
	return n
}

// DirectorySize is the length of what the directory says of a file whose header is at a place.
func (e *Entry) DirectorySize(at int64) int64 {
	return int64(directoryHead + len(e.Name) + e.zip64Size(at))
}

// AppendDirectory appends what the directory says of a file whose header is at a place.
func (e *Entry) AppendDirectory(b []byte, at int64) []byte {
	extra := e.zip64Size(at)
	version, offset := uint16(madeByUnix|versionPlain), uint32(max32)
	if extra > 0 {
		version = madeByUnix | versionZip64
	}
	if at < max32 {
		offset = uint32(at)
	}
	b = binary.LittleEndian.AppendUint32(b, 0x02014b50)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = e.appendCommon(b, extra > 0, extra)
	b = append(b, 0, 0, 0, 0, 0, 0) // no comment, the first disk, no text
	b = binary.LittleEndian.AppendUint32(b, attributesFile)
	b = binary.LittleEndian.AppendUint32(b, offset)
	b = append(b, e.Name...)
	var fields []uint64
	if e.large() {
		fields = append(fields, uint64(e.Size), uint64(e.Size))
	}
	if at >= max32 {
		fields = append(fields, uint64(at))
	}
	if extra > 0 {
		b = appendZip64(b, fields...)
	}
	return b
}

func appendZip64(b []byte, fields ...uint64) []byte {
	b = binary.LittleEndian.AppendUint16(b, extraZip64)
	b = binary.LittleEndian.AppendUint16(b, uint16(8*len(fields)))
	for _, field := range fields {
		b = binary.LittleEndian.AppendUint64(b, field)
	}
	return b
}

// dosTime is a time in the form of MS-DOS, in UTC, in steps of two seconds from 1980 to 2107.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	switch {
	case t.Year() < 1980:
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 2107:
		t = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	return uint16(t.Day() | int(t.Month())<<5 | (t.Year()-1980)<<9),
		uint16(t.Second()/2 | t.Minute()<<5 | t.Hour()<<11)
}

// Mark is a place between two files. The zero Mark is before the first one.
type Mark struct {
	Files     int64 // before it
	Local     int64 // where the header of the next file is
	Directory int64 // length of what the directory says of the files before
}

// Add moves the mark behind a file.
func (m *Mark) Add(e *Entry) {
	m.Directory += e.DirectorySize(m.Local)
	m.Local += e.LocalSize() + e.Size
	m.Files++
}

func (m Mark) zip64() bool { return m.Files >= max16 || m.Local >= max32 || m.Directory >= max32 }

// Size is the length of the whole zip file whose last file is before the mark.
func (m Mark) Size() int64 {
	size := m.Local + m.Directory + endSize
	if m.zip64() {
		size += end64Size
	}
	return size
}

// AppendEnd appends what follows the directory of a zip file whose last file is before the mark.
func (m Mark) AppendEnd(b []byte) []byte {
	files, directory, local := m.Files, m.Directory, m.Local
	if m.zip64() {
		b = binary.LittleEndian.AppendUint32(b, 0x06064b50)
		b = binary.LittleEndian.AppendUint64(b, 56-12)
		b = binary.LittleEndian.AppendUint16(b, madeByUnix|versionZip64)
		b = binary.LittleEndian.AppendUint16(b, versionZip64)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // this disk, and that of the directory
		for _, field := range []int64{files, files, directory, local} {
			b = binary.LittleEndian.AppendUint64(b, uint64(field))
		}
		b = binary.LittleEndian.AppendUint32(b, 0x07064b50)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(local+directory))
		b = binary.LittleEndian.AppendUint32(b, 1)
		files, directory, local = min(files, max16), min(directory, max32), min(local, max32)
	}
	b = binary.LittleEndian.AppendUint32(b, 0x06054b50)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(files))
	b = binary.LittleEndian.AppendUint16(b, uint16(files))
	b = binary.LittleEndian.AppendUint32(b, uint32(directory))
	b = binary.LittleEndian.AppendUint32(b, uint32(local))
	return binary.LittleEndian.AppendUint16(b, 0)
}
