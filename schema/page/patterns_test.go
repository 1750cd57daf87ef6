package page

import (
	"strings"
	"testing"
	"time"
)

// Every subject is matched by the patterns of its kind alone.
func TestPatterns(t *testing.T) {
	t.Parallel()
	const at = "https://photos.example"
	for _, r := range []Ref{
		Home(), Home().Before(7), Home().At(at), Explore(), ExploreDay(time.Unix(0, 0)), User("ansel"),
		User("ansel").After(7), Albums("ansel"),
		Photo(7), Tag("a b"), Tags(), Tags().At(at), Search(""), Search("x").Sorted(SortNewest), Album(7), About(),
		About().At(at),
		Feed(Home()), Feed(User("ansel")), File("robots.txt"), Sitemap(), SitemapPart("photos", 7),
		OEmbed(7, "json", 0, 0), Error(404),
		Asset("app.3f2a1b0c.css").Encoded("br"), Image("abcdefghijklmnopqrstuvwxyz", 320),
	} {
		t.Run(r.Subject(), func(t *testing.T) {
			t.Parallel()
			var matched []Kind
			for _, kind := range Kinds() {
				for _, pattern := range kind.Patterns() {
					prefix, wildcard := strings.CutSuffix(pattern, ">")
					if pattern == r.Subject() || wildcard && strings.HasPrefix(r.Subject(), prefix) {
						matched = append(matched, kind)
					}
				}
			}
			if len(matched) != 1 || matched[0] != r.Kind() {
				t.Errorf("matched by the patterns of %v, want %v alone", matched, r.Kind())
			}
		})
	}
}
