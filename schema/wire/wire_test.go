package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/page"
)

func sample() *Reply {
	return &Reply{
		Key: "page.user.ansel", Status: 200, ContentType: "text/html; charset=utf-8", ETag: "3jx0c8v1k2m4",
		MaxAge: PageAge, ReadAt: time.UnixMicro(1795463000123456), Depends: []Dep{{"all", 1}, {"user.ansel", 18}},
		Body: []byte("<!doctype html>\n\nbody"),
	}
}

func TestEnvelopeIsReadable(t *testing.T) {
	t.Parallel()
	want := "killr/1 200\nKey: page.user.ansel\nContent-Type: text/html; charset=utf-8\nMax-Age: 600\n" +
		"Read-At: 1795463000123456\nDepends: all=1 user.ansel=18\nETag: 3jx0c8v1k2m4\nLength: 21\n" +
		"Checksum: 2da75689\n\n<!doctype html>\n\nbody"
	if diff := cmp.Diff(want, string(sample().Encode())); diff != "" {
		t.Error(diff)
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	t.Parallel()
	for _, r := range []*Reply{
		sample(),
		{Status: 404, ReadAt: time.UnixMicro(1), Body: []byte{}},
		{Status: 200, Encoding: "br", Immutable: true, ReadAt: time.UnixMicro(0), Body: []byte{0, 1, 2, '\n', '\n'}},
	} {
		got, err := DecodeReply(r.Key, r.Encode())
		if diff := cmp.Diff(r, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
}

func TestEnvelopeValuesCannotAddHeaders(t *testing.T) {
	t.Parallel()
	r := &Reply{Status: 200, ContentType: "text/html\nDepends: all=99\n\nbody"}
	got, err := DecodeReply("", r.Encode())
	if err != nil || len(got.Depends) != 0 || len(got.Body) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	whole := string(sample().Encode())
	for name, data := range map[string]string{
		"empty":          "",
		"html":           "<!doctype html>\n\n",
		"no end":         "killr/1 200\nLength: 0\n",
		"truncated":      whole[:len(whole)-1],
		"longer":         whole + "x",
		"no checksum":    "killr/1 200\nKey: page.user.ansel\nLength: 0\n\n",
		"only checksum":  "killr/1 \nChecksum: \n\n",
		"short checksum": strings.Replace(whole, "Checksum: ", "Checksum: 0", 1),
		"newer":          summed("killr/2 200\nLength: 0", ""),
		"another's":      summed("killr/1 200\nKey: page.user.dorothea\nLength: 0", ""),
		"nobody's":       summed("killr/1 200\nLength: 0", ""),
		"no length":      summed("killr/1 200\nKey: page.user.ansel", ""),
		"status":         summed("killr/1 ok\nKey: page.user.ansel\nLength: 0", ""),
		"age":            summed("killr/1 200\nKey: page.user.ansel\nMax-Age: long\nLength: 0", ""),
		"depends":        summed("killr/1 200\nKey: page.user.ansel\nDepends: all\nLength: 0", ""),
		"depends spaces": summed("killr/1 200\nKey: page.user.ansel\nDepends: all=1  x=2\nLength: 0", ""),
		"line":           summed("killr/1 200\nKey: page.user.ansel\nnonsense\nLength: 0", ""),
		"control":        summed("killr/1 200\nKey: page.user.ansel\nETag: a\rSet-Cookie: b\nLength: 0", ""),
		"no gzip": summed("killr/1 200\nKey: page.user.ansel\nContent-Encoding: gzip\nLength: 20",
			"<!doctype html>12345"),
		"gzip cut short": summed("killr/1 200\nKey: page.user.ansel\nContent-Encoding: gzip\nLength: 3",
			"\x1f\x8b\x08"),
		"huge gzip": summed("killr/1 200\nKey: page.user.ansel\nContent-Encoding: gzip\nLength: 18",
			"\x1f\x8b\x08456789a12345678"),
	} {
		if r, err := DecodeReply("page.user.ansel", []byte(data)); !errors.Is(err, ErrEnvelope) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	good := summed("killr/1 200\nKey: page.user.ansel\nLength: 0", "")
	if r, err := DecodeReply("page.user.ansel", []byte(good)); err != nil {
		t.Errorf("nothing wrong: got %+v, %v", r, err)
	}
}

// summed is an envelope with the right checksum.
func summed(head, body string) string {
	return fmt.Sprintf("%s\nChecksum: %s\n\n%s", head, appendChecksum(nil, []byte(head), []byte(body)), body)
}

// A flip of any bit is noticed, wherever it is.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	r := sample()
	data := r.Encode()
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if got, err := DecodeReply(r.Key, data); !errors.Is(err, ErrEnvelope) {
				t.Errorf("bit %d of byte %d: got %+v, %v", bit, i, got, err)
			}
			data[i] ^= 1 << bit
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add("killr/1 200\nKey: page.user.ansel\nDepends: all=1\nLength: 0", []byte{})
	f.Add("killr/1 404\nMax-Age: 5\nFuture: yes\nLength: 2", []byte("hi"))
	f.Fuzz(func(t *testing.T, head string, body []byte) {
		_, key, _ := strings.Cut(head, "\nKey: ")
		key, _, _ = strings.Cut(key, "\n")
		data := summed(head, string(body))
		r, err := DecodeReply(key, []byte(data))
		if err != nil {
			return
		}
		again, err := DecodeReply(key, r.Encode())
		if err != nil {
			t.Fatalf("%q decodes to %+v, whose envelope does not: %v", data, r, err)
		}
		if !bytes.Equal(r.Body, again.Body) || !cmp.Equal(r.Depends, again.Depends) || r.Status != again.Status ||
			r.MaxAge != again.MaxAge {
			t.Fatalf("%+v became %+v", r, again)
		}
	})
}

func TestChangesRoundTrip(t *testing.T) {
	t.Parallel()
	changes := []Change{{"user.ansel", 18, false}, {"photo.12", 19, true}, {ScopeAll, 20, false}}
	got, err := DecodeChanges(EncodeChanges(changes))
	if diff := cmp.Diff(changes, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{"user.ansel\n", "user.ansel x\n", " 3\n", "a 1 lost\n", "a 1 gone \n", "\n"} {
		if got, err := DecodeChanges([]byte(bad)); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte("user.ansel 18\nphoto.1 19 gone\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		changes, err := DecodeChanges(data)
		if err != nil {
			return
		}
		again, err := DecodeChanges(EncodeChanges(changes))
		if err != nil || !cmp.Equal(changes, again) {
			t.Fatalf("%v became %v, %v", changes, again, err)
		}
	})
}

func TestHeartbeatAndTimes(t *testing.T) {
	t.Parallel()
	heartbeat := Heartbeat{Time: time.UnixMicro(1795463000123456), Lag: 3 * time.Millisecond}
	if got, err := DecodeHeartbeat(heartbeat.Encode()); err != nil || got != heartbeat {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `{"time_us":1,"lag_us":-1}`} {
		if got, err := DecodeHeartbeat([]byte(bad)); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
	if got, ok := ParseTime(FormatTime(heartbeat.Time)); !ok || !got.Equal(heartbeat.Time) {
		t.Errorf("got %v, %v", got, ok)
	}
	timing := Timing{Queue: 12 * time.Microsecond, SQL: 340 * time.Microsecond, Render: time.Millisecond}
	if got := ParseTiming(timing.String()); got != timing {
		t.Errorf("got %v", got)
	}
}

func TestClockIgnoresLateHeartbeats(t *testing.T) {
	t.Parallel()
	var c Clock
	now := time.Now()
	hour := now.Add(time.Hour) // this machine's clock is an hour behind
	c.Observe(Heartbeat{Time: hour}, now.Add(2*time.Millisecond))
	c.Observe(Heartbeat{Time: hour.Add(time.Second)}, now.Add(9*time.Second)) // found queued after a freeze of 8 s
	if got := c.Offset(); got != time.Hour-2*time.Millisecond {
		t.Errorf("offset %v", got)
	}
	for i := 10; i < 10+clockWindow; i++ { // Postgres' clock was set right meanwhile
		c.Observe(Heartbeat{Time: now.Add(time.Duration(i) * time.Second)},
			now.Add(time.Duration(i)*time.Second+time.Millisecond))
	}
	if got := c.Offset(); got != -time.Millisecond {
		t.Errorf("offset %v", got)
	}
}

// TestClockThatWasSet: until the next heartbeat deadlines are neither too early nor passed because a clock was set.
func TestClockThatWasSet(t *testing.T) {
	t.Parallel()
	now := time.Now()
	later := now.Add(time.Second)
	var c Clock
	if earliest, latest := c.Bounds(later); earliest != later || latest != later {
		t.Errorf("before the first heartbeat: %v to %v", earliest, latest)
	}
	c.Observe(Heartbeat{Time: now.Add(time.Hour)}, now)
	want := now.Add(time.Hour + time.Second)
	for _, set := range []time.Duration{0, -2 * time.Hour, time.Hour} {
		earliest, latest := c.Bounds(whenSet(later, set))
		first, last := want.Add(min(0, set)), want.Add(max(0, set))
		if earliest.UnixNano() != first.UnixNano() || latest.UnixNano() != last.UnixNano() {
			t.Errorf("set by %v: %v to %v, want %v to %v", set, earliest, latest, first, last)
		}
	}
}

// whenSet is a time as a machine has it whose clock was set by some time: its monotonic clock knows nothing of that.
func whenSet(t time.Time, by time.Duration) time.Time {
	set := t.Add(by)
	monotonic := &(*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&set)).ext
	*monotonic -= int64(by)
	return set
}

func TestErrorsCrossTheBus(t *testing.T) {
	t.Parallel()
	for _, c := range codes {
		msg := ErrorMsg("inbox", fmt.Errorf("page.user.ansel: secret cause: %w", c.err))
		if strings.Contains(fmt.Sprint(msg.Header), "secret") {
			t.Errorf("%s: the cause crossed the bus: %v", c.code, msg.Header)
		}
		if err := ErrorOf(msg); Code(err) != c.code || Status(err) != c.status {
			t.Errorf("%s became %v", c.code, err)
		}
	}
	if err := ErrorOf(ErrorMsg("inbox", errors.New("unforeseen"))); !errors.Is(err, ErrInternal) {
		t.Errorf("got %v", err)
	}
	if err := ErrorOf(&nats.Msg{Header: nats.Header{HeaderCode: {"from the future"}}}); !errors.Is(err, ErrInternal) {
		t.Errorf("got %v", err)
	}
	if err := ErrorOf(&nats.Msg{}); err != nil {
		t.Errorf("got %v", err)
	}
	if got := Status(fmt.Errorf("waiting: %w", context.DeadlineExceeded)); got != 503 {
		t.Errorf("got %d", got)
	}
}

func TestInputErrorsCrossTheBus(t *testing.T) {
	t.Parallel()
	want := InputError{Field: "title", Problem: "has 201 characters: shorten it to 200"}
	msg := ErrorMsg("inbox", fmt.Errorf("photo.edit: %w", &want))
	for _, header := range []string{HeaderDetail, micro.ErrorHeader} {
		if got := msg.Header.Get(header); got != "title has 201 characters: shorten it to 200" {
			t.Errorf("%s: %q", header, got)
		}
	}
	err := ErrorOf(msg)
	if got, ok := errors.AsType[*InputError](err); !ok || *got != want || Code(err) != "bad_request" ||
		Status(err) != 400 {
		t.Errorf("got %v", err)
	}
	msg.Header.Set(HeaderCode, "busy") // whatever is said beside it, another error is no InputError
	if _, ok := errors.AsType[*InputError](ErrorOf(msg)); ok {
		t.Errorf("got %v", ErrorOf(msg))
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"x": true, "4f1c-2a/~!": true, strings.Repeat("k", MaxKey): true,
		"": false, strings.Repeat("k", MaxKey+1): false, "a b": false, "a\n": false, "\x7f": false, "é": false,
	} {
		if ValidKey(key) != want {
			t.Errorf("%q: want %t", key, want)
		}
	}
}

func TestFillNotes(t *testing.T) {
	t.Parallel()
	for _, note := range []Fill{
		{Ref: page.Tag("blue hour").Before(7)},
		{Ref: page.User("ansel"), ReadAt: time.UnixMicro(1795463000123456)},
		{Ref: page.Home(), Wants: []Dep{{"all", 1}, {"user.ansel", 19}}, Waited: 3 * time.Millisecond},
	} {
		msg := note.Msg()
		if got, err := ParseFill(msg.Subject, msg.Header); err != nil || !reflect.DeepEqual(got, note) {
			t.Errorf("%+v became %+v, %v", note, got, err)
		}
	}
	for name, value := range map[string]string{HeaderReadAt: "yesterday", HeaderWants: "user.ansel"} {
		if got, err := ParseFill("fill.page.home", nats.Header{name: {value}}); err == nil {
			t.Errorf("%s: %s is taken for %+v", name, value, got)
		}
	}
	if _, err := ParseFill("fill.fill.page.home", nil); err == nil {
		t.Error("a fill of a fill is taken")
	}
}

func TestFillIsMetByWhatIsAsGood(t *testing.T) {
	t.Parallel()
	at := time.UnixMicro(1000)
	have := &Reply{ReadAt: at, Depends: []Dep{{"all", 1}, {"user.ansel", 19}}}
	for _, c := range []struct {
		note Fill
		met  bool
	}{
		{Fill{}, true},
		{Fill{ReadAt: at}, true},
		{Fill{ReadAt: at.Add(time.Microsecond)}, false},
		{Fill{Wants: []Dep{{"user.ansel", 19}}}, true},
		{Fill{Wants: []Dep{{"user.ansel", 18}, {"user.edward", 7}}}, true},
		{Fill{Wants: []Dep{{"user.ansel", 20}}}, false},
		{Fill{ReadAt: at, Wants: []Dep{{"all", 2}}}, false},
		{Fill{ReadAt: at.Add(1), Wants: []Dep{{"all", 1}}}.And(Fill{ReadAt: at.Add(time.Second)}), false},
		{Fill{Wants: []Dep{{"user.ansel", 18}}}.And(Fill{Wants: []Dep{{"all", 1}, {"user.ansel", 19}}}), true},
		{Fill{Wants: []Dep{{"user.ansel", 18}}}.And(Fill{Wants: []Dep{{"user.ansel", 20}}}), false},
		{Fill{Wants: []Dep{{"user.ansel", 20}}}.And(Fill{Wants: []Dep{{"user.ansel", 18}}}), false},
	} {
		if got := c.note.Met(have); got != c.met {
			t.Errorf("%+v: met %v, want %v", c.note, got, c.met)
		}
	}
}

func TestFreshCookies(t *testing.T) {
	t.Parallel()
	key, now := FreshKey(strings.Repeat("k", FreshKeySize)), time.UnixMicro(1795463000123456)
	changes := []Change{{"user.ansel", 19, true}, {"photo.9", 19, false}, {"photo.7", 19, false}, {"photo.8", 20, true}}
	value := key.Sign(changes, now.Add(FreshAge))
	if strings.ContainsFunc(value, func(c rune) bool {
		return c <= ' ' || c > '~' ||
			strings.ContainsRune(`",;\\`, c)
	}) {
		t.Errorf("%q is no cookie value (RFC 6265, 4.1.1)", value)
	}
	got, err := key.Verify(value, now)
	if err != nil || !slices.Equal(got, changes) {
		t.Errorf("%v %v, want %v", got, err, changes)
	}
	if claims, err := FreshClaims(value); err != nil || !slices.Equal(claims, changes) {
		t.Errorf("without a key: %v, %v", claims, err)
	}
	for _, bad := range []string{"", ".", "x.y", "!", key.Sign(nil, now), strings.Repeat("a", maxFresh+1)} {
		if claims, err := FreshClaims(bad); !errors.Is(err, ErrFresh) {
			t.Errorf("%.20q claims %v, %v", bad, claims, err)
		}
	}
	// What is done to as many photos as a form may name: all that is shown anew is in the cookie. What is hidden gives
	// way to the owner, on whom the pages depend.
	shown, hidden := []Change{{"user.ansel", 1795463000123, false}}, []Change{}
	for i := range int64(page.MaxPhotos) {
		shown = append(shown, Change{PrefixPhoto + strconv.FormatInt(9_999_999_999-i, 10), 1795463000123, false})
		hidden = append(hidden, Change{PrefixPhoto + strconv.FormatInt(1+i, 10), 1795463000123 + 7*i, true})
	}
	hidden = append(hidden, Change{"user.ansel", 1795463000123, true})
	value = key.Sign(shown, now)
	if got, err := key.Verify(value, now); err != nil || !slices.Equal(got, shown) || len(value) > maxFresh {
		t.Errorf("%d photos are shown: %d bytes with %d changes, %v", page.MaxPhotos, len(value), len(got), err)
	}
	value = key.Sign(hidden, now)
	if got, err := key.Verify(value, now); err != nil || got[0] != hidden[page.MaxPhotos] || len(got) < 50 {
		t.Errorf("%d photos are hidden: %d bytes with %d changes, %v", page.MaxPhotos, len(value), len(got), err)
	}
	value = key.Sign(changes, now.Add(FreshAge))
	for what, err := range map[string]error{
		"expired":     second(key.Verify(value, now.Add(FreshAge+time.Microsecond))),
		"another key": second(FreshKey(strings.Repeat("l", FreshKeySize)).Verify(value, now)),
		"no key":      second(FreshKey(nil).Verify(FreshKey(nil).Sign(changes, now.Add(FreshAge)), now)),
		"cut":         second(key.Verify(value[:len(value)-1], now)),
		"unsigned":    second(key.Verify(strings.SplitN(value, ".", 2)[0]+".", now)),
		"empty":       second(key.Verify("", now)),
		"no scopes":   second(key.Verify(key.Sign(nil, now.Add(FreshAge)), now)),
	} {
		if !errors.Is(err, ErrFresh) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestInsiders(t *testing.T) {
	t.Parallel()
	key, now := FreshKey(strings.Repeat("k", FreshKeySize)), time.UnixMicro(1795463000123456)
	value := key.Insider(now.Add(FreshAge))
	if !key.VerifyInsider(value, now) {
		t.Errorf("%q is refused", value)
	}
	for what, taken := range map[string]bool{
		"nothing":            key.VerifyInsider("", now),
		"a question mark":    key.VerifyInsider("?", now),
		"expired":            key.VerifyInsider(value, now.Add(FreshAge+time.Microsecond)),
		"another key":        FreshKey(strings.Repeat("l", FreshKeySize)).VerifyInsider(value, now),
		"no key":             FreshKey(nil).VerifyInsider(FreshKey(nil).Insider(now.Add(FreshAge)), now),
		"a visitor's cookie": key.VerifyInsider(key.Sign([]Change{{"photo.7", 19, false}}, now.Add(FreshAge)), now),
	} {
		if taken {
			t.Errorf("%s is taken", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestPopularityLists(t *testing.T) {
	t.Parallel()
	a := []Popular{
		{page.User("ansel"), 100}, {page.Tag("über alles"), 3}, {page.Image(strings.Repeat("a", 26), 640), 50},
	}
	got, err := DecodePopular(EncodePopular(a))
	if err != nil || !slices.Equal(got, a) {
		t.Errorf("%v %v, want %v", got, err, a)
	}
	got, err = DecodePopular([]byte("page.user.ansel 1\npage.nothing.x 2\nnonsense\npage.home -1\npage.home 4\n"))
	if err == nil || !slices.Equal(got, []Popular{{page.User("ansel"), 1}, {page.Home(), 4}}) {
		t.Errorf("lines that name nothing: %v %v", got, err)
	}
	merged := MergePopular(a, []Popular{{page.User("ansel"), 1}, {page.Home(), 60}})
	if want := []Popular{{page.User("ansel"), 101}, {page.Home(), 60}, a[2], a[1]}; !slices.Equal(merged, want) {
		t.Errorf("merged: %v, want %v", merged, want)
	}
}

func BenchmarkDecodeReply(b *testing.B) {
	for _, size := range []int{20, 5_000, 500_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := sample()
			r.Body = make([]byte, size)
			data := r.Encode()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeReply(r.Key, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	want := Account{User: 7, Name: "ansel", PasswordAt: time.UnixMicro(1795463000123456)}
	if got, err := ParseAccount(want.String()); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "7 ansel", "0 ansel 1", "x ansel 1", "7 ansel x", "7 a b 1"} {
		if a, err := ParseAccount(text); err == nil {
			t.Errorf("%q is %+v", text, a)
		}
	}
	for _, typed := range []string{"ansel", " Ansel\t", "ANSEL", "ａｎｓｅｌ", "ＡＮＳＥＬ"} {
		if got := FoldName(typed); got != "ansel" {
			t.Errorf("%q is folded to %q", typed, got)
		}
	}
	if FoldName("аnsel") == "ansel" { // a Cyrillic letter
		t.Error("letters of two scripts are the same")
	}
}

// TestHasVisible: characters that are drawn as nothing show nobody a name.
func TestHasVisible(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "\u200b", "\u2060\u200d", "\ufeff", "\ufe0f\U000E0100", "\u115f\u1160", "\u3164", "\uffa0", "\u00ad",
		"\u034f", "\u180e", "\u17b4", "\u2800", "\U0001D159", "\u00a0\u3000\u2028", "\u0301", "\U000E0041", "\x00\x1b",
	} {
		if HasVisible(text) {
			t.Errorf("%+q shows something", text)
		}
		if !HasVisible(text + "a") {
			t.Errorf("%+q and a letter show nothing", text)
		}
	}
	for _, text := range []string{"a", "7", "-", "§", "☃", "❤\ufe0f", "👩\u200d💻", "雪", "ᄀ", "e\u0301", "ا"} {
		if !HasVisible(text) {
			t.Errorf("%+q shows nothing", text)
		}
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	want := Session{ID: "abc", User: 7, Name: "ansel", Created: time.Unix(1, 0).UTC(), Agent: "Firefox on Linux"}
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeSession("abc", data); err != nil || *got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for key, want := range map[string]int64{
		RevocationKey(7): 7, SessionIndexKey(7, "abc"): 0, "abc": 0, "u.": 0, "u.x": 0, "u.-7": 0,
	} {
		if user, ok := ParseRevocationKey(key); ok != (want > 0) || ok && user != want {
			t.Errorf("%q revokes sessions of %d, %t", key, user, ok)
		}
	}
	for _, text := range []string{"", "{}", "null", `{"user":7}`, `{"user":-1,"name":"x"}`, "x"} {
		if s, err := DecodeSession("abc", []byte(text)); err == nil {
			t.Errorf("%q is %+v", text, s)
		}
	}
}

// A subject of an upload names its verb, user and id, and nothing else is taken for one.
func TestUploadSubject(t *testing.T) {
	t.Parallel()
	const id = "abcdefghijklmnopqrstuvwxyz"
	verb, user, got, err := ParseUpload(UploadSubject(UploadChunk, 7, id))
	if err != nil || verb != UploadChunk || user != 7 || got != id {
		t.Errorf("got %q %d %q, %v", verb, user, got, err)
	}
	for _, bad := range []string{
		"", "upload", "upload.chunk.7", "upload.chunk.07." + id, "upload.chunk.-7." + id, "upload.chunk.0." + id,
		"upload.chunk.7." + id + ".x", "upload.chunk.7.ABCDEFGHIJKLMNOPQRSTUVWXYZ", "upload.chunk.7." + id[1:],
		"image.chunk.7." + id,
	} {
		if _, _, _, err := ParseUpload(bad); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%q is taken for an upload: %v", bad, err)
		}
	}
}
