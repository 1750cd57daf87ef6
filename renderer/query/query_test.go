package query_test

import (
	"fmt"
	"strings"
	"testing"

	"flickrkillr/renderer/query"
	"flickrkillr/renderer/words"
)

// outline writes a query such that a test can read it.
func outline(q query.Query) string {
	var all []string
	for _, it := range q.Items {
		var words []string
		for _, p := range it.Any {
			var ws []string
			for _, w := range p.Words {
				text := w.Term
				if len(w.Parts) > 0 {
					text += "(" + strings.Join(w.Parts, " ") + ")"
				}
				ws = append(ws, text)
			}
			text := [...]string{"", "phrase:", "tag:", "by:", "camera:", "year:", "shape:"}[p.Kind] + p.Value +
				strings.Join(ws, " ")
			if p.Kind == query.Year {
				text += string(rune('0'+p.Years[0]%10)) + string(rune('0'+p.Years[1]%10))
			}
			words = append(words, text)
		}
		text := strings.Join(words, "|")
		if it.Not {
			text = "-" + text
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"", ""},
		{"Mountain Lakes", "mountain, lake"},
		{`"golden hour" -people`, "phrase:golden hour, -people"},
		{`"never closed`, "phrase:never closed"},
		{"barn or owl or desert red", "barn|owl|desert, red"},
		{"or barn OR", "barn"},
		{"barn or -owl", "barn, -owl"},
		{"red | blue", "red|blue"},
		{"tag:Sea by:@Ansel", "tag:sea, by:ansel"},
		{`tag:"Blue  Hour" -tag:x`, "tag:blue hour, -tag:x"},
		{"camera:X-T5", "camera:xt5"},
		{`camera:"Canon EOS R6"`, "camera:canon eos r6"},
		{"year:2024 year:2019-2022", "year:44, year:92"},
		{"orientation:Portrait orientation:horizontal", "shape:portrait, shape:landscape"},
		{"foo:bar", "foo bar"},
		{"tag:", "tag"},
		{"the of", ""},
		{"... ??? :-) %%% (((((", ""},
		{"-", ""},
		{"--x", "x"},
		{"long-exposure", "longexposure(long exposure)"},
		{"富士山 山", "(富士 士山), (山)"},
		{"🌅", "🌅"},
	} {
		if got := outline(query.Parse(c[0])); got != c[1] {
			t.Errorf("%q: %q, want %q", c[0], got, c[1])
		}
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"year:soon", "year:2022-2019", "orientation:round", "year:99999"} {
		if q := query.Parse(text + " sea"); q.Problem == "" || outline(q) != "sea" {
			t.Errorf("%q: problem %q, %s", text, q.Problem, outline(q))
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	q := query.Parse(`sea or lake year:2020 tag:"blue hour" -dog`)
	for _, c := range [][2]string{
		{q.Without(1), `sea or lake tag:"blue hour" -dog`},
		{q.Without(0), `year:2020 tag:"blue hour" -dog`},
		{q.With(query.Year, "2021"), `sea or lake tag:"blue hour" -dog year:2021`},
		{q.With(query.Tag, "sky"), `sea or lake year:2020 tag:"blue hour" -dog tag:sky`},
		{q.With(query.Camera, "Canon EOS R6"), `sea or lake year:2020 tag:"blue hour" -dog camera:"Canon EOS R6"`},
	} {
		if c[0] != c[1] {
			t.Errorf("%s, want %s", c[0], c[1])
		}
	}
	moutain := query.Parse("moutain lake year:2020")
	replaced := moutain.Replace(map[string]string{"moutain": "mountain"})
	if replaced.String() != "mountain lake year:2020" {
		t.Error(replaced.String())
	}
}

func TestManyWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"x y x -x": "x, y, -x", "x -y or x": "x, -y"} {
		if q := query.Parse(text); outline(q) != want {
			t.Errorf("said twice: %q is %q", text, outline(q))
		}
	}
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "x%d ", i)
	}
	q := query.Parse(text.String())
	if len(q.Items) != query.MaxWords || !q.Cut {
		t.Errorf("%d items, cut %t", len(q.Items), q.Cut)
	}
}

// Any text is read, and what a query writes of itself is read as the same query.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"a or b", `"a b" -c`, "tag:x by:y camera:z year:2020-2021 orientation:square", `tag:"a b`, "富士山 -山 or x",
		"-- | or or -|", `a"b"c:"d`, "\xff-\x00",
		`-"`, `"`, `by:"`, "year:2020-", "it's x-t5 a.b/c", "🌅-🌅",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q := query.Parse(text)
		n := 0
		for _, it := range q.Items {
			if len(it.Any) == 0 {
				t.Fatalf("%q has an empty item", text)
			}
			for _, p := range it.Any {
				n += len(p.Words)
				for _, w := range p.Words {
					if w.Term == "" && len(w.Parts) == 0 || len(w.Term) > words.MaxTerm {
						t.Fatalf("%q has the word %+v", text, w)
					}
				}
			}
		}
		if n > query.MaxWords {
			t.Fatalf("%q has %d words", text, n)
		}
		again := query.Parse(q.String())
		if outline(again) != outline(q) && !q.Cut {
			t.Fatalf("%q is %q, whose text %q is %q", text, outline(q), q.String(), outline(again))
		}
	})
}
