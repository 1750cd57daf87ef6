package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// someResult is the result of a short run in which the name of one picture contains markup.
func someResult(t *testing.T) (res *Result) {
	t.Helper()
	cfg := some("http://site.test", 4)
	within(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/img/b/320.jpg" {
			typed("<script>alert(1)</script>", "")(w, r)
			return
		}
		serve(w, r)
	}, cfg, func(_ *testing.T, made *Result) { res = made })
	return res
}

// The report is well-formed, makes no requests, and its policy allows only its own style sheet.
func TestReportStandsAlone(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := someResult(t).Report().Write(&b); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	count, policy, style := map[string]int{}, "", ""
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		count[n.Data]++
		for _, a := range n.Attr {
			switch {
			case a.Key == "src", a.Key == "href", a.Key == "style", strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case n.Data == "meta" && a.Key == "content" && strings.HasPrefix(a.Val, "default-src"):
				policy = a.Val
			}
		}
		if n.Data == "style" {
			style = n.FirstChild.Data
		}
	}
	if count["script"] != 0 || count["link"] != 0 || count["img"] != 0 || count["style"] != 1 || count["figure"] != 4 ||
		count["table"] != 4 {
		t.Errorf("elements %v; want one style, four figures, four tables, and nothing from elsewhere", count)
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style sheet asks for something")
	}
	hash := sha256.Sum256([]byte(style))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"; !strings.HasSuffix(
		policy, want,
	) || !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("policy %q does not end in %q", policy, want)
	}
	if !strings.Contains(b.String(), "&lt;script&gt;alert(1)") {
		t.Error("the failure's example is missing")
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg class="plot".*?</svg></svg>`).FindAllString(b.String(), -1) {
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || !strings.Contains(svg, ` d="M`) {
			t.Errorf("no curve in %s", svg)
		}
	}
}

// An empty result makes a page and a table, too.
func TestReportOfNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	res := &Result{Interrupted: true}
	if err := errors.Join(res.Report().Write(&b), res.WriteTable(&b)); err != nil {
		t.Error(err)
	}
	if strings.Contains(b.String(), "NaN") {
		t.Error(b.String())
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	res := someResult(t)
	if err := res.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"4 pages, ", "p99.9", "\npage, complete ", "\nAnswered by ", "\ngenerator ",
		"\nFailures  1\n  1  wrong type, such as: picture http://site.test/", "Note: 1 of ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	var back Result
	text, err := json.Marshal(res)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back.Pages != res.Pages || back.Kind("picture").Times != res.Kind("picture").Times ||
		back.Failures[0] != res.Failures[0] {
		t.Errorf("JSON %s reads back as %+v, %v", text, back, err)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{"0": number(0), "999": number(999), "1,000": number(1000),
		"-1,234,567": number(-1234567), "12 B": size(12), "1.5 KiB": size(1536),
		"3.0 GiB": size(3 << 30), "0.12": short(0.123), "12.3": short(12.34), "123": short(123.4),
		"1,235": short(1234.6)} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
