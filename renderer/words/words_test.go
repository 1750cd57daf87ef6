package words_test

import (
	"strings"
	"testing"

	"flickrkillr/renderer/words"
)

func terms(text string) string {
	var all []string
	words.Each(text, 1000, func(t words.Term) { all = append(all, t.Text) })
	return strings.Join(all, " ")
}

func TestTerms(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"Sunsets over the Lakes", "sunset over the lake"},
		{"cities skies beaches foxes glass cactus waves leaves movies movie",
			"city sky beach fox glass cactus wave leaf movy movy"},
		{"αμμόλοφοι ΑΜΜΌΛΟΦΟΙ", "αμμολοφοι αμμολοφοι"},
		{"Ärmelkanal Łódź Søren Ǿr straße Ελλάς", "armelkanal lodz soren or strasse ελλασ"},
		{"ёлка й", "елка й"},
		{"X-T5", "xt5 t5"},
		{"long-exposure O'Brien day's f/2.8", "long longexposure exposure obrien brien day f28"},
		{"富士山", "富士 士山 山"},
		{"山", "山"},
		{"ガラス", "ガラ ラス ス"},
		{"धुंध में", "धुंध में"},
		{"צִלְצוּל", "צלצול"},
		{"ضوءُ", "ضوء"},
		{"한라산의 아침", "한라산의 아침"},
		{"🌅🌅 x 👍🏽", "🌅 🌅 x 👍"},
		{"... ??? :-) %%% (((((", ""},
		{"\u202egnp.exe\u202c", "gnpexe gnp exe"},
		{"ﬁeld ＦＵＬＬ", "field full"},
	} {
		got := strings.Fields(terms(c[0]))
		if want := strings.Fields(c[1]); !same(got, want) {
			t.Errorf("%q: %q, want %q", c[0], got, want)
		}
	}
}

func same(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestPhoto(t *testing.T) {
	t.Parallel()
	var b words.Builder
	got := string(words.AppendText(nil, b.Photo(&words.Photo{
		Title: "Milky Way", Description: "Way up there, it's cold", Tags: []string{"blue hour", "o'k"},
		Albums: []string{"Nights"}, Owner: "ansel",
		Display: "Ansel", Camera: "FUJIFILM X-T5", Lens: "XF 23", Year: 2023, Width: 40, Height: 30,
		ID: 8193, Faves: 64, Quality: 100,
	})))
	const want = `'#blue hour' '#o''k' ':23':53C ':ansel':36C,44C ':cold':65 ':night':28C ':there':63 ':up':62 ` +
		`':xf':52C '=fujifilm' '=t5' '=xt5' ` +
		`'@ansel' 'blue':10B 'hour':11B 'milky':1A 'ok':20B 'way':2A,61 '~2023' '~f36' '~i1' '~landscape' '~q12'`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// A text of any bytes gives terms that an index can hold, and the terms of what it gives are the same again.
func FuzzEach(f *testing.F) {
	for _, s := range []string{"Sunsets", "a-b-c", "富士山 x", "it's", "\xff\x00", "a\u0300\u0301", "🌅",
		strings.Repeat("ab-", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		places := words.Each(text, 50, func(w words.Term) {
			if w.Text == "" || len(w.Text) > words.MaxTerm || strings.ContainsAny(w.Text, " \x00'\\") || w.Pos < 0 {
				t.Fatalf("%q gives %+v", text, w)
			}
			if folded := words.Fold(w.Form); folded != w.Form {
				t.Fatalf("%q gives %q, which folds to %q", text, w.Form, folded)
			}
		})
		if places > 50+16 {
			t.Fatalf("%q has %d places", text, places)
		}
	})
}

func BenchmarkPhoto(b *testing.B) {
	var builder words.Builder
	p := words.Photo{
		Title: "Last light on the Dolomites", Tags: []string{"mountain", "alps", "sunset", "golden hour", "2023"},
		Albums: []string{"High places"}, Owner: "ansel_adams", Display: "Ansel Adams", Camera: "Canon EOS R6",
		Lens:        "RF24-105mm F4 L IS USM",
		Description: "We got to the place late and had the place to ourselves until it was dark.", Year: 2023,
		Width: 3, Height: 2,
	}
	var buf []byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		buf = words.AppendBinary(buf[:0], builder.Photo(&p))
		n = len(builder.Photo(&p))
	}
	b.ReportMetric(float64(n), "lexemes")
	b.ReportMetric(float64(len(buf)), "bytes")
}
