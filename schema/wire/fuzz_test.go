package wire

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
)

func FuzzHeartbeat(f *testing.F) {
	f.Add([]byte(`{"time_us":1795463000123456,"lag_us":0}`))
	f.Add([]byte(`{"time_us":1,"lag_us":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHeartbeat(data)
		if err != nil {
			return
		}
		if again, err := DecodeHeartbeat(h.Encode()); err != nil || again != h || h.Lag < 0 {
			t.Fatalf("%q is %+v, which became %+v, %v", data, h, again, err)
		}
	})
}

// FuzzToken: what nobody signed is no token, and what is read from it without a key can be written again.
func FuzzToken(f *testing.F) {
	key, other := FreshKey("12345678901234567890123456789012"), FreshKey("another key that signs for others")
	now := time.UnixMicro(1795463000123456)
	changes := []Change{{"user.ansel", 18, true}, {"photo.7", 3, false}, {"photo.8", 3, false}}
	f.Add(other.Sign(changes, now.Add(FreshAge)))
	f.Add(other.Insider(now.Add(FreshAge)))
	f.Add("MTc5NTQ2MzAwMDEyMzQ1NiBhbGw9MQ.AAAA")
	f.Fuzz(func(t *testing.T, value string) {
		if changes, err := key.Verify(value, now); !errors.Is(err, ErrFresh) {
			t.Fatalf("%q is a token for %v, %v", value, changes, err)
		}
		if key.VerifyInsider(value, now) || FreshKey(nil).VerifyInsider(value, now) {
			t.Fatalf("%q is an insider's", value)
		}
		changes, err := FreshClaims(value)
		if err != nil {
			return
		}
		signed := key.Sign(changes, now)
		sum := func(changes []Change) map[Change]int {
			n := map[Change]int{}
			for _, c := range changes {
				n[c]++
			}
			return n
		}
		if again, err := key.Verify(signed, now); err != nil || !cmp.Equal(sum(again), sum(changes)) {
			t.Fatalf("%v became %v, %v", changes, again, err)
		}
		if _, err := key.Verify(signed, now.Add(time.Microsecond)); err == nil {
			t.Fatalf("%q is valid for longer than it says", signed)
		}
	})
}

func FuzzFill(f *testing.F) {
	f.Add("fill.page.user.ansel", "1795463000123456", "user.ansel=18 all=1", "1200")
	f.Add("fill.image.abcdefghijklmnopqrstuvwxyz.640", "", "", "9223372036854775807")
	f.Fuzz(func(t *testing.T, subject, readAt, wants, waited string) {
		header := nats.Header{HeaderReadAt: {readAt}, HeaderWants: {wants}, HeaderWaited: {waited}}
		fill, err := ParseFill(subject, header)
		if err != nil {
			return
		}
		msg := fill.Msg()
		again, err := ParseFill(msg.Subject, msg.Header)
		sameRef := cmp.Comparer(func(a, b page.Ref) bool { return a == b })
		if diff := cmp.Diff(fill, again, sameRef, cmpopts.EquateEmpty()); err != nil || diff != "" || fill.Waited < 0 {
			t.Fatalf("%v %+v %s", err, fill, diff)
		}
		fill.Met(&Reply{ReadAt: fill.ReadAt, Depends: fill.Wants})
	})
}

func FuzzPopular(f *testing.F) {
	f.Add([]byte("page.user.ansel 1200\npage.home 7\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := DecodePopular(data)
		again, err := DecodePopular(EncodePopular(list))
		sameRef := cmp.Comparer(func(a, b page.Ref) bool { return a == b })
		if diff := cmp.Diff(list, again, sameRef, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v %s", err, diff)
		}
		last := int64(-1)
		for _, p := range MergePopular(list, again) {
			if p.Count < 0 || last >= 0 && p.Count > last {
				t.Fatalf("%q: merged out of order, or below 0: %d after %d", data, p.Count, last)
			}
			last = p.Count
		}
	})
}

func FuzzTiming(f *testing.F) {
	f.Add("queue=12 sql=340 render=80")
	f.Add("queue=9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		timing := ParseTiming(text)
		if again := ParseTiming(timing.String()); again != timing {
			t.Fatalf("%q is %+v, which became %+v", text, timing, again)
		}
	})
}
