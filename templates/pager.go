package templates

import (
	"strconv"

	"flickrkillr/schema/page"
)

// pathOrNone is the path of a page; "" for the zero Ref.
func pathOrNone(r page.Ref) string {
	if r == (page.Ref{}) {
		return ""
	}
	return r.Path()
}

// besides is the address of the page of a list that ends before a position, or begins after it; "" for position 0.
func besides(path, name string, position int64) string {
	if position == 0 {
		return ""
	}
	return path + "?" + name + "=" + strconv.FormatInt(position, 10)
}
