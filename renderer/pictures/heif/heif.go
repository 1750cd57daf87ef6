// Package heif decodes HEIC pictures, by libheif in a sandbox of WebAssembly.
//
// Input: a file. Output: its primary picture, turned upright as the file says. Must not touch: files, the clock, the
// network. Nothing bounds how long a file takes but its caller, who ends the process.
package heif

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"image"
	"io"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// MaxMemory bounds the memory of one decoder, in bytes. A picture of 40 megapixels in one piece needs about 250 MB.
const MaxMemory = 384 << 20

const pageBytes = 64 << 10 // of WebAssembly

//go:embed heif.wasm.gz
var packed []byte

// ErrFile: it is no HEIC file that can be decoded.
var ErrFile = errors.New("heif: no HEIC picture that can be decoded")

// decoder is libheif, compiled for this machine.
type decoder struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

// compiled is the decoder. The first call takes half a second of a processor: most renderers never need it.
var compiled = sync.OnceValues(func() (*decoder, error) {
	const op = "heif: compile the decoder"
	ctx := context.Background()
	code, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	all, err := io.ReadAll(code)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	d := &decoder{runtime: wazero.NewRuntimeWithConfig(ctx,
		wazero.NewRuntimeConfig().WithMemoryLimitPages(MaxMemory/pageBytes))}
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, d.runtime); err == nil {
		d.module, err = d.runtime.CompileModule(ctx, all)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", op, err), d.runtime.Close(ctx))
	}
	return d, nil
})

// Decode decodes a file of so many bytes into a picture of at most so many pixels. Errors wrap ErrFile if the file is
// to blame.
func Decode(r io.Reader, size, pixels int) (image.Image, error) {
	d, err := compiled()
	if err != nil {
		return nil, err
	}
	// It is given no file, no clock, no environment, and no output.
	instance, err := d.runtime.InstantiateModule(context.Background(), d.module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return nil, fmt.Errorf("heif: start the decoder: %w", err)
	}
	defer instance.Close(context.Background())
	c := call{instance}
	img, err := c.decode(r, size, pixels)
	if err != nil && !errors.Is(err, ErrFile) {
		err = fmt.Errorf("%w: %w", ErrFile, err) // what the decoder stumbles over is in the file
	}
	return img, err
}

// call is one use of the decoder, whose memory nobody else uses.
type call struct{ api.Module }

func (c call) function(name string, arguments ...uint64) (uint32, error) {
	results, err := c.ExportedFunction(name).Call(context.Background(), arguments...)
	if err != nil {
		return 0, fmt.Errorf("heif: %s: %w", name, err)
	}
	return uint32(results[0]), nil
}

// reserve reserves memory in the sandbox.
func (c call) reserve(size int) (uint32, error) {
	at, err := c.function("malloc", uint64(size))
	if err == nil && at == 0 {
		err = fmt.Errorf("heif: it needs more than %d MiB of memory", MaxMemory>>20)
	}
	return at, err
}

// What the decoder says of a picture (heif_colorspace and heif_chroma of libheif).
const (
	colorsYCbCr, colorsRGB, colorsGray = 0, 1, 2
	chroma420, chroma422, chroma444    = 1, 2, 3
)

// facts is what the decoder says of a picture: five numbers.
const factBytes = 5 * 4

func (c call) decode(r io.Reader, size, pixels int) (image.Image, error) {
	file, err := c.reserve(size)
	if err != nil {
		return nil, err
	}
	place, ok := c.Memory().Read(file, uint32(size))
	if !ok {
		return nil, ErrFile
	}
	if _, err := io.ReadFull(r, place); err != nil {
		return nil, err
	}
	if size >= 12 {
		copy(place[8:], "heic") // the first brand: the decoder takes no file whose other brands alone say so
	}
	facts, err := c.reserve(factBytes)
	if err != nil {
		return nil, err
	}
	run := func(onlyFacts, out uint32) error {
		arguments := []uint64{uint64(file), uint64(size), uint64(onlyFacts)}
		for i := range uint64(factBytes / 4) {
			arguments = append(arguments, uint64(facts)+4*i)
		}
		if done, err := c.function("decode", append(arguments, uint64(out))...); err != nil || done != 1 {
			return errors.Join(ErrFile, err)
		}
		return nil
	}
	if err := run(1, 0); err != nil {
		return nil, err
	}
	said, ok := c.Memory().Read(facts, factBytes)
	if !ok {
		return nil, ErrFile
	}
	layout, err := layoutOf(said, pixels)
	if err != nil {
		return nil, err
	}
	out, err := c.reserve(layout.bytes)
	if err != nil {
		return nil, err
	}
	if err := run(0, out); err != nil {
		return nil, err
	}
	drawn, ok := c.Memory().Read(out, uint32(layout.bytes))
	if !ok {
		return nil, ErrFile
	}
	return layout.image(bytes.Clone(drawn)), nil // the sandbox goes
}
