package pictures

import (
	"bytes"
	"encoding/binary"
)

// tiffOrientation is the orientation that EXIF data say in their first directory (TIFF 6.0); 0: none. Unlike
// [readCamera] it needs no clock, so that it says the same of a file everywhere.
func tiffOrientation(exif []byte) orientation {
	exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00")) // some programs write it where none belongs
	var order binary.ByteOrder = binary.BigEndian
	switch {
	case len(exif) < 8:
		return 0
	case string(exif[:4]) == "II*\x00":
		order = binary.LittleEndian
	case string(exif[:4]) != "MM\x00*":
		return 0
	}
	directory := int64(order.Uint32(exif[4:]))
	if directory+2 > int64(len(exif)) {
		return 0
	}
	entries := exif[directory+2:]
	for range order.Uint16(exif[directory:]) {
		if len(entries) < 12 {
			return 0
		}
		if order.Uint16(entries) == 0x0112 {
			value := uint32(order.Uint16(entries[8:]))
			if order.Uint16(entries[2:]) == 4 { // a long number
				value = order.Uint32(entries[8:])
			}
			return orientation(within(float64(value), 1, 8))
		}
		entries = entries[12:]
	}
	return 0
}
