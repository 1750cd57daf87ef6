package e2e

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"flickrkillr/schema/page"
)

// The place that hostile pictures have, as text and as EXIF has it, and a script that they hide.
const (
	placeText   = "48.8569371"
	placeBytes  = "\x00\x00\x72\xbb\x00\x00\x03\xe8" // 29371/1000, in big-endian form
	placeScript = "<html><script>alert(document.cookie)</script>"
	placeXMP    = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:Desc exif:GPSLatitude="` + placeText + `"/></x:xmpmeta>`
)

// placeEXIF is a TIFF block whose GPS directory has a latitude.
func placeEXIF() string {
	b := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x88\x25\x00\x04\x00\x00\x00\x01\x00\x00\x00\x1a\x00\x00\x00\x00")
	b = append(b, "\x00\x02\x00\x01\x00\x02\x00\x00\x00\x02N\x00\x00\x00"...) // GPSLatitudeRef
	b = append(b, "\x00\x02\x00\x05\x00\x00\x00\x03\x00\x00\x00\x38"...)      // GPSLatitude, at 56
	b = append(b, "\x00\x00\x00\x00\x00\x00\x00\x30\x00\x00\x00\x01"...)      // the end, and 48/1
	return string(append(append(b, "\x00\x00\x00\x33\x00\x00\x00\x01"...), placeBytes...))
}

func jpegPart(marker byte, body string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
}

// pngPart is a chunk of a PNG.
func pngPart(kind, body string) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind+body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// webpPart is a chunk of a WebP.
func webpPart(kind, body string) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body))), body...)
	return append(b, make([]byte, len(body)&1)...)
}

// blackPNG is a PNG of one bit a pixel: 20,000 x 20,000 of it is 48 KB.
func blackPNG(t *testing.T, w, h int) []byte {
	t.Helper()
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	var packed bytes.Buffer
	z, err := zlib.NewWriterLevel(&packed, zlib.BestCompression)
	must(t, err)
	row := make([]byte, 1+(w+7)/8)
	for range h {
		_, err := z.Write(row)
		must(t, err)
	}
	must(t, z.Close())
	return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), pngPart("IHDR", string(header)+"\x01\x00\x00\x00\x00"),
		pngPart("IDAT", packed.String()), pngPart("IEND", "")}, nil)
}

// withPlace gives a picture of each format that has the place in every way that its format knows, and a script behind.
func withPlace(t *testing.T) map[string][]byte {
	t.Helper()
	jpg := newPicture(t, 340)
	iptc := "\x1c\x02\x5a\x00\x0a" + placeText // 2:90, the city
	resource := "Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00" + string(rune(len(iptc))) + iptc + "\x00"
	jpg = bytes.Join([][]byte{jpg[:2], jpegPart(0xe1, "Exif\x00\x00"+placeEXIF()),
		jpegPart(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+placeXMP), jpegPart(0xed, resource),
		jpegPart(0xfe, placeText+placeScript), jpg[2:], []byte(placeScript + placeText)}, nil)
	decoded, err := jpeg.Decode(bytes.NewReader(newPicture(t, 340)))
	must(t, err)
	var pngFile, gifFile bytes.Buffer
	must(t, png.Encode(&pngFile, decoded))
	must(t, gif.Encode(&gifFile, decoded, nil))
	const header = 8 + 25 // signature and IHDR
	pngs := bytes.Join([][]byte{pngFile.Bytes()[:header], pngPart("eXIf", placeEXIF()),
		pngPart("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00"+placeXMP), pngPart("tEXt", "Comment\x00"+placeText),
		pngFile.Bytes()[header:], []byte(placeScript)}, nil)
	webps := bytes.Join([][]byte{[]byte("WEBP"), webpPart("VP8X", "\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		webpPart("VP8L", "\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"), webpPart("EXIF", placeEXIF()),
		webpPart("XMP ", placeXMP)}, nil)
	return map[string][]byte{"JPEG": jpg, "PNG": pngs, "GIF": append(gifFile.Bytes(), "*/=1;"+placeScript+placeText...),
		"WebP": append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(webps))), webps...)}
}

// uploadHostile: files that are no pictures, or too large, are refused with the reason. Of what pictures hide, nothing
// is in what the site shows: no place, no script.
func uploadHostile(t *testing.T, s *peopleSite, p *person) {
	good := newPicture(t, 300)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"a bomb":    {blackPNG(t, 20_000, 20_000), "megapixels"},
		"truncated": {good[:len(good)/2], "damaged"},
		"no width":  {blackPNG(t, 0, 50), "damaged"},
		"no height": {blackPNG(t, 50, 0), "damaged"},
		"huge frames": {[]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00"),
			"megapixels"},
		"SVG":            {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "SVG"},
		"HTML":           {[]byte("<!DOCTYPE html>" + placeScript), "web page"},
		"GIF and script": {[]byte("GIF89a/*\x00\x04\x01\x00\x00*/=1;alert(1)//"), "damaged"},
	} {
		answer := p.sendFile(0, name+".jpg", c.file)
		answer.expect(http.StatusUnprocessableEntity, "")
		if said := strings.Join(answer.texts(".sent .problem"), ""); !strings.Contains(said, c.says) {
			t.Errorf("%s is refused with %q, want %q", name, said, c.says)
		}
	}
	hidden := func(text string) string { // what of it only the original has
		for _, part := range []string{placeText, placeBytes, "48.85", "Exif", "GPSL", "adobe", "8BIM",
			"alert(document"} {
			if strings.Contains(text, part) {
				return part
			}
		}
		return ""
	}
	for format, file := range withPlace(t) {
		if hidden(string(file)) == "" {
			t.Fatalf("the %s hides nothing", format)
		}
		answer := p.sendFile(1, "place "+format, file)
		answer.expect(http.StatusOK, "")
		path := answer.attr(".sent a", "href")
		s.isShown(p, path, "place "+format)
		id, err := strconv.ParseInt(strings.TrimPrefix(path, "/photo/"), 10, 64)
		must(t, err)
		paths := []string{path, page.User(p.name).Path(), page.Feed(page.User(p.name)).Path(),
			page.OEmbed(id, "json", 0, 0).Path(), fmt.Sprintf("/me/photos/%d", id)}
		picture := pictureLink.FindString(p.get(0, path).body)
		for _, width := range page.Widths() {
			paths = append(paths, page.Image(strings.Split(picture, "/")[2], width).Path(),
				page.OwnPicture(id, width).Path())
		}
		for _, path := range paths {
			got := p.get(2, path)
			if got.status != http.StatusOK {
				t.Errorf("%s: %s has status %d", format, path, got.status)
			}
			if found := hidden(got.body + fmt.Sprint(got.header)); found != "" {
				t.Errorf("%s: %s has %q", format, path, found)
			}
		}
	}
}

// uploadNamed: whatever a file is called, it gets a title that can be shown, and no file is called so.
func uploadNamed(t *testing.T, s *peopleSite, p *person) {
	harmful := regexp.MustCompile(`[\x00-\x1f\x7f\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]`)
	for what, name := range map[string]string{
		"a way up": "../../../etc/passwd.jpg", "an escaped one": "%2e%2e%2f%2e%2e%2fpasswd.jpg",
		"backslashes": `..\..\windows\system.jpg`, "NUL": "lake\x00.jpg",
		"a line end":          "a\r\nSet-Cookie: session=x.jpg",
		"a mark of direction": "\u202egpj.exe\u202c.jpg", "4 KB": strings.Repeat("x", 4096) + ".jpg",
		"no text": "\xff\xfe.jpg", "only dots": "....jpg",
	} {
		file := newPicture(t, 60)
		made := p.tus(http.MethodPost, 3, "/upload/files", file, "Upload-Length", strconv.Itoa(len(file)),
			"Content-Type", "application/offset+octet-stream",
			"Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte(name)))
		if strings.Contains(fmt.Sprint(made.header["Set-Cookie"]), "session=x") {
			t.Errorf("%s: the name became a header", what)
		}
		if made.status >= 400 && made.status < 500 {
			continue // it is refused
		}
		made.expect(http.StatusCreated, made.header.Get("Location"))
		photo := made.header.Get("Killr-Photo")
		shown := p.get(3, photo)
		title := strings.Join(shown.texts("h1"), "")
		if shown.status != http.StatusOK || title == "" || len(title) > 800 || harmful.MatchString(title) ||
			strings.ContainsAny(title, "/\\") {
			t.Errorf("%s: photo %s has status %d and the title %.60q", what, photo, shown.status, title)
		}
	}
	stored := regexp.MustCompile(`^(\.|staging(/.*)?|[a-z2-7]{2}(/[a-z2-7]{26}(\.[a-z0-9]+\.jpg)?)?|tmp(/.*)?)$`)
	must(t, fs.WalkDir(os.DirFS(s.pictures), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && !stored.MatchString(path) {
			t.Errorf("the picture store has %q", path)
		}
		return err
	}))
}

// sendFile sends a file by the form.
func (p *person) sendFile(edge int, name string, file []byte) *shown {
	p.s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	must(p.s.t, w.WriteField("key", p.get(edge, "/upload").attr("input[name=key]", "value")))
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"image/jpeg"},
		"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, name)}})
	must(p.s.t, err)
	_, err = part.Write(file)
	must(p.s.t, err)
	must(p.s.t, w.Close())
	return p.send(http.MethodPost, p.s.urls[edge]+"/upload", w.FormDataContentType(), body.String())
}
