package edge

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"flickrkillr/edge/session"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestShareBounds: who guesses at a link is refused at it long before all others are, and the whole site has a bound
// where addresses are not counted.
func TestShareBounds(t *testing.T) {
	t.Parallel()
	share := page.Share{Token: "abcdefghijklmnopqrstuvwxyz"}
	link := "share " + share.ID()
	for limit, want := range map[int][]guessBound{
		100: {{"address 203.0.113.9/32", 100}, {link + " address 203.0.113.9/32", 10}, {link, 100}},
		-1:  {{link, 100}, {"site share", 300}},
	} {
		got, err := shareBounds(share, "203.0.113.9:4711", limit)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d an address: %v, %v, want %v", limit, got, err, want)
		}
	}
	if _, err := shareBounds(share, "nowhere", 100); err == nil {
		t.Error("without an address nothing is counted")
	}
}

// TestGrantsOfOneLink: each cookie that may prove that a password was given is passed on, so one that somebody has
// planted beside it changes nothing. There are not too many, and none that a header cannot have.
func TestGrantsOfOneLink(t *testing.T) {
	t.Parallel()
	onPipes(t, nil, func(e *Server, _ *pipes) {
		for cookies, want := range map[string][]string{
			"":                                {},
			"share=one":                       {"one"},
			"share=planted; me=x; share=one":  {"planted", "one"},
			"share=a\tb; share=; share=\"c\"": {"c"},
			"shared=a; share":                 {},
		} {
			r := httptest.NewRequest(http.MethodGet, "/s/x", nil)
			r.Header.Set("Cookie", cookies)
			got := e.shareHeader(r, &exchange{number: e.ids.next()}, page.Share{})[wire.HeaderGrant]
			if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%q: %q, want %q", cookies, got, want)
			}
		}
	})
	if got := session.Values([]string{"a=1; b=2; a=3", "a=4; a=5"}, "a", 3); !reflect.DeepEqual(got,
		[]string{"1", "3", "4"}) {
		t.Errorf("the first three values are %q", got)
	}
}
