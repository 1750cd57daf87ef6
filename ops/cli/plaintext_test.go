package cli

import "testing"

// TestPlainText: names in archives of others can do nothing to a terminal.
func TestPlainText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Foto Ö 夜 🌄.jpg":          "Foto Ö 夜 🌄.jpg",
		"a\x1b]0;title\x07b":      `a\x1b]0;title\ab`,
		"a\r\nb\u009b2J":          `a\r\nb\u009b2J`,
		"x\u202egpj.exe: \u2066y": `x\u202egpj.exe: \u2066y`,
	} {
		if got := plainText(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
}
