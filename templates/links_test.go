package templates

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// linked shows the spans of a line with its links in [brackets].
func linked(line string) string {
	var b strings.Builder
	for _, s := range links(line) {
		if s.href != "" {
			b.WriteString("[" + s.href + "]")
			continue
		}
		b.WriteString(s.text)
	}
	return b.String()
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                                      "",
		"plain":                                 "plain",
		"http://a.example":                      "[http://a.example]",
		"HTTPS://A.example/B":                   "[HTTPS://A.example/B]",
		"see http://a.example/x?y=1&z=2#f now":  "see [http://a.example/x?y=1&z=2#f] now",
		"(http://a.example/x)":                  "([http://a.example/x])",
		"http://a.example/x_(y)":                "[http://a.example/x_(y)]",
		"(see http://a.example/x_(y)).":         "(see [http://a.example/x_(y)]).",
		"http://a.example/((":                   "[http://a.example/]((",
		"http://a.example.":                     "[http://a.example].",
		"http://a.example, http://b.example!":   "[http://a.example], [http://b.example]!",
		"'http://a.example'":                    "'[http://a.example]'",
		`"http://a.example/x"y`:                 `"[http://a.example/x]"y`,
		"<http://a.example/x>":                  "<[http://a.example/x]>",
		"[text](http://a.example/x)":            "[text]([http://a.example/x])",
		"見てhttp://a.example/":                   "見てhttp://a.example/", // a letter before it
		"見て、http://a.example/海。それから":            "見て、[http://a.example/海]。それから",
		"http://müller.example/":                "[http://müller.example/]",
		"http://a.example:8080/x":               "[http://a.example:8080/x]",
		"http://a.example:x/":                   "http://a.example:x/",
		"http://user@evil.example/":             "http://user@evil.example/",
		"http://bank.example:pw@evil.example/":  "http://bank.example:pw@evil.example/",
		"http://bank.example%40evil.example/":   "http://bank.example%40evil.example/",
		"http://a.example\\@evil.example":       "[http://a.example]\\@evil.example",
		"http://":                               "http://",
		"http:///x":                             "http:///x",
		"http://.":                              "http://.",
		"http://-x":                             "http://-x",
		"http://[::1]/":                         "http://[::1]/",
		"://x":                                  "://x",
		"xhttp://a.example":                     "xhttp://a.example",
		"x-http://a.example":                    "x-http://a.example",
		"view-source:http://a.example":          "view-source:[http://a.example]",
		"javascript://a.example/%0aalert(1)":    "javascript://a.example/%0aalert(1)",
		"data://a.example":                      "data://a.example",
		"ftp://a.example":                       "ftp://a.example",
		"javascript:alert(1)//http://a.example": "javascript:alert(1)//[http://a.example]",
		"http://a.example/\u202egpj.exe":        "[http://a.example/]\u202egpj.exe",
		"http://a.example/\x00x":                "[http://a.example/]\x00x",
		"http://a.example/\tx":                  "[http://a.example/]\tx",
		"http://a.example/\xff":                 "[http://a.example/]\xff",
		"http://a.example/\u00a0x":              "[http://a.example/]\u00a0x",
		"http://a.example/<script>":             "[http://a.example/]<script>",
		"www.a.example":                         "www.a.example",
		"http://a.example/😀":                    "[http://a.example/]😀",
	} {
		if got := linked(line); got != want {
			t.Errorf("%q\n got %q\nwant %q", line, got, want)
		}
	}
	if long := "http://a.example/" + strings.Repeat("x", maxLink); linked(long) != long {
		t.Error("an endless address became a link")
	}
}

// Whatever the text, nothing of it is lost, and each link is an address that goes where it says.
func TestLinksLoseNothing(t *testing.T) {
	t.Parallel()
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"http", "https", "://", "http://", "HTTPS://a.example", "@", ".", ")", "(", "/",
			"\\", "\"", "<", " ", "é", "。", "\u202e", "%", "%40", ":"}),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		line := strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "")
		var all strings.Builder
		for _, s := range links(line) {
			all.WriteString(s.text)
			if s.href == "" {
				continue
			}
			u, err := url.Parse(s.href)
			if s.href != s.text || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
				u.User != nil {
				t.Fatalf("%q has the link %q", line, s.href)
			}
		}
		if all.String() != line {
			t.Fatalf("%q became %q", line, all.String())
		}
	})
}

// A text made to be slow is not: 100 kB of each take far less than the second that a quadratic scanner would need.
func TestLinksAreLinear(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"http://", "http://a.example/((((", "http://a)", "://", "http", "(",
		"http://a.example/)"} {
		started := time.Now()
		links(strings.Repeat(piece, 100_000/len(piece)))
		links("http://a.example/" + strings.Repeat(piece, 100_000/len(piece)))
		if took := time.Since(started); took > time.Second {
			t.Errorf("%q repeated took %v", piece, took)
		}
	}
}

func TestParagraphs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int{ // lines in each paragraph
		"":                        nil,
		" \n\t\n":                 nil,
		"a":                       {1},
		"a\nb":                    {2},
		"a\r\nb\rc":               {3},
		"\n\na\n\n\n\nb\nc\n\n":   {1, 2},
		"a\n \nb":                 {1, 1},
		"http://a.example/\nnext": {2},
	} {
		got := paragraphs(text)
		if len(got) != len(want) {
			t.Errorf("%q has %d paragraphs, want %d", text, len(got), len(want))
			continue
		}
		for i := range got {
			if len(got[i]) != want[i] {
				t.Errorf("%q: paragraph %d has %d lines, want %d", text, i, len(got[i]), want[i])
			}
		}
	}
}
