package page

import "slices"

// Licence says what others may do with a photo. The value is as in rows and forms.
type Licence string

// LicenceReserved is all rights reserved.
const LicenceReserved Licence = "reserved"

// Licences lists all of them, in the order in which forms offer them.
func Licences() []Licence {
	return []Licence{LicenceReserved, "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "cc0"}
}

// ValidLicence reports whether l is one of [Licences].
func ValidLicence(l Licence) bool { return slices.Contains(Licences(), l) }

var licenceNames = map[Licence]struct{ name, path string }{
	LicenceReserved: {"All rights reserved", ""},
	"by":            {"CC BY 4.0", "licenses/by/4.0/"},
	"by-sa":         {"CC BY-SA 4.0", "licenses/by-sa/4.0/"},
	"by-nd":         {"CC BY-ND 4.0", "licenses/by-nd/4.0/"},
	"by-nc":         {"CC BY-NC 4.0", "licenses/by-nc/4.0/"},
	"by-nc-sa":      {"CC BY-NC-SA 4.0", "licenses/by-nc-sa/4.0/"},
	"by-nc-nd":      {"CC BY-NC-ND 4.0", "licenses/by-nc-nd/4.0/"},
	"cc0":           {"CC0 1.0", "publicdomain/zero/1.0/"},
}

// Name is what pages call the licence, such as "CC BY 4.0".
func (l Licence) Name() string {
	if known, ok := licenceNames[l]; ok {
		return known.name
	}
	return licenceNames[LicenceReserved].name
}

// URL is the address of the licence's text; "" if all rights are reserved.
func (l Licence) URL() string {
	if path := licenceNames[l].path; path != "" {
		return "https://creativecommons.org/" + path
	}
	return ""
}
