package pictures

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"io"

	"github.com/bep/imagemeta"

	"flickrkillr/renderer/pictures/heif"
)

// heic is the kind of file that phones make (ISO/IEC 23008-12, with HEVC). A site takes it if its [Limits] say so.
var heic = format{"heic", heicConfig, heicDecode, heicEnds, imagemeta.HEIF}

// errNoSandbox: to decode a HEIC file may take for ever, so only a process does that can be ended.
var errNoSandbox = errors.New("pictures: no process decodes HEIC pictures for now")

// isHEIC reports whether the first box of a file says that the file is one. That of films and of AVIF is alike.
func isHEIC(data []byte) bool {
	const head, brand = 8, 4
	if len(data) < 16 || string(data[4:head]) != "ftyp" {
		return false
	}
	end := min(int64(binary.BigEndian.Uint32(data)), int64(len(data)), 512)
	for at := int64(head); at+brand <= end; at += brand {
		if at == head+brand { // the version of the first brand
			continue
		}
		if name := string(data[at : at+brand]); name == "heic" || name == "heix" {
			return true
		}
	}
	return false
}

// heicReads is how often the size of a file is read at. One of 48 megapixels in 200 tiles takes some thousand reads. It
// is no time: a file would be refused because the machine is busy.
const heicReads = 1 << 16

// heicConfig reads the size as seen, which the file says beside the picture.
func heicConfig(r io.Reader) (image.Config, error) {
	data, ok := r.(io.ReadSeeker)
	if !ok {
		return image.Config{}, errors.New("pictures: a HEIC file that cannot be read twice")
	}
	reads := 0
	said, err := imagemeta.Decode(imagemeta.Options{
		R:           &lateReader{ReadSeeker: data, late: func() bool { reads++; return reads > heicReads }},
		ImageFormat: imagemeta.HEIF,
		Sources:     imagemeta.CONFIG,
	})
	size := said.ImageConfig
	return image.Config{ColorModel: color.YCbCrModel, Width: size.Width, Height: size.Height}, err
}

func heicDecode(r io.Reader) (image.Image, error) {
	data, ok := r.(*bytes.Reader)
	if !ok {
		return nil, errors.New("pictures: a HEIC file that is not in memory")
	}
	return heif.Decode(data, data.Len(), defaultPixels)
}

// heicEnds reports whether the boxes of a file that have the picture are there as a whole.
func heicEnds(data []byte) bool {
	found := map[string]bool{}
	for at := int64(0); at+8 <= int64(len(data)); {
		size := int64(binary.BigEndian.Uint32(data[at:]))
		switch {
		case size == 0: // it has the rest of the file
			size = int64(len(data)) - at
		case size == 1 && at+16 <= int64(len(data)):
			size = int64(binary.BigEndian.Uint64(data[at+8:]))
		}
		if size < 8 || size > int64(len(data))-at {
			break
		}
		found[string(data[at+4:at+8])] = true
		at += size
	}
	return found["meta"] && found["mdat"]
}
