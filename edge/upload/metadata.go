package upload

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"flickrkillr/schema/wire"
)

// Bounds of what is told of a file, in bytes.
const (
	maxMetadata = 8 << 10
	maxName     = 255
	maxType     = 100
)

// fileOf reads the header field Upload-Metadata: pairs of a key and a value in base64, separated by commas.
func fileOf(field string) (file wire.UploadFile, err error) {
	if len(field) > maxMetadata {
		return file, badRequest("Upload-Metadata has more than %d bytes: shorten it", maxMetadata)
	}
	if strings.TrimSpace(field) == "" {
		return file, nil
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(field, ",") {
		key, coded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.DecodeString(coded)
		switch {
		case key == "" || seen[key]:
			return file, badRequest("Upload-Metadata has an empty key, or one twice")
		case err != nil:
			return file, badRequest("Upload-Metadata: the value of %.40q is no base64", key)
		}
		seen[key] = true
		switch key {
		case "filename":
			file.Name = cleanName(string(value))
		case "filetype":
			file.Type = cleanType(string(value))
		case "private":
			file.Private = file.Private || isTrue(string(value))
		case "visibility":
			if !see(&file, string(value)) {
				return file, badRequest("Upload-Metadata: visibility is neither public, unlisted nor private")
			}
		case "album":
			if !utf8.Valid(value) {
				return file, badRequest("Upload-Metadata: the name of the album is not UTF-8")
			}
			file.Album = string(value)
		case "guest":
			file.Guest = cleanName(string(value))
		}
	}
	return file, nil
}

// see says who may see the photo of a file. It returns false for what says nothing.
func see(file *wire.UploadFile, visibility string) bool {
	switch visibility {
	case "public":
	case "unlisted":
		file.Private, file.Unlisted = true, true
	case "private":
		file.Private = true
	default:
		return false
	}
	return true
}

func isTrue(value string) bool { return value == "1" || value == "true" || value == "on" }

// cleanName is the name of a file without folders, and without what no one can see or what changes the direction of
// text. It has at most maxName bytes.
func cleanName(name string) string {
	name = strings.ToValidUTF8(name, "")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return -1
		}
		return r
	}, name))
	if len(name) <= maxName {
		return name
	}
	end := maxName
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// cleanType is a media type, without its parameters; "" for what cannot be one.
func cleanType(kind string) string {
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if len(kind) > maxType || strings.ContainsFunc(kind, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return kind
}
