package seed

import (
	"math"
	"slices"
	"time"
)

// plan says who posts what and when, before any row is made. A photo's id is its place in upload order, and people
// upload several photos at a time: so the plan is a list of sessions in order of time, each a run of ids.
type plan struct {
	seed     uint64
	users    int
	photos   int
	joined   []int64   // By user (index = id-1): microseconds since 2000.
	sessions []session // In order of time.
	byUser   []int32   // Indexes into sessions, grouped by user, each group in order of time:
	from     []int32   // user i's are byUser[from[i]:from[i+1]].
}

// session is the photos that one user posted at one time.
type session struct {
	at    int64 // When the first was posted: microseconds since 2000.
	user  int32 // Index: id-1.
	count int32
	first int32 // Id of the first photo.
	nth   int32 // How many photos the user had before.
}

// The users that every seeding of at least three users has.
const (
	anselUser   = 0 // Has a fine full page: what documentation and tests look at.
	malloryUser = 1 // Posts nothing but what is meant to break a site.
	quietUser   = 2 // Has posted nothing.
	namedUsers  = 3
)

const second = int64(1_000_000)

// spanOfTime is the time of the data. It is fixed, because the same seed must give the same rows on any day.
func spanOfTime() (from, to int64) {
	day := func(y, m, d int) int64 { return micros(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)) }
	return day(2018, 3, 1), day(2026, 11, 20)
}

// micros is a time as Postgres counts it.
func micros(t time.Time) int64 {
	return t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds()
}

func newPlan(seed uint64, users, photos int) *plan {
	p := &plan{seed: seed, users: users, photos: photos}
	from, to := spanOfTime()
	p.joined = make([]int64, users)
	for i := range p.joined { // Ids are in order of joining, and the site grew steadily.
		p.joined[i] = from + int64(float64(to-from)*0.97*math.Pow(float64(i)/float64(users), 0.85))
	}
	counts := p.counts()
	p.sit(counts, to)
	return p
}

// counts distributes the photos to the users by a Zipf-Mandelbrot distribution with weight 1/(rank+q): of 100,000 users
// with 1,000,000 photos, half have three or fewer, a tenth none, and about eighty more than a thousand.
func (p *plan) counts() []int32 {
	const q = 55
	d := newDice(p.seed).of(forPlan, 1)
	counts := make([]int32, p.users)
	left := p.photos
	give := func(user, n int) {
		if user < p.users {
			counts[user] = int32(min(n, left))
			left -= int(counts[user])
		}
	}
	if p.users == 1 {
		give(anselUser, p.photos)
		return counts
	}
	give(anselUser, min(420, max(p.photos/4, 1)))
	give(malloryUser, min(90, p.photos/10))
	others := p.users - namedUsers
	if others <= 0 {
		counts[anselUser] += int32(left)
		return counts
	}
	ranks := d.Perm(others)
	weights := make([]float64, others)
	total := 0.0
	for i, rank := range ranks {
		w := math.Exp(0.35*d.NormFloat64()) / (float64(rank) + q)
		if d.chance(0.1) && rank > 20 {
			w = 0
		}
		weights[i] = w
		total += w
	}
	// Cumulative rounding: the counts add up exactly. That many users get none is intended.
	sum, given := 0.0, 0
	for i, w := range weights {
		sum += w
		upTo := int(math.Round(sum / total * float64(left)))
		counts[namedUsers+i] = int32(upTo - given)
		given = upTo
	}
	return counts
}

// sit distributes each user's photos to sessions, and orders those by time.
func (p *plan) sit(counts []int32, to int64) {
	d := newDice(p.seed)
	type sitting struct {
		at          int64
		user, count int32
	}
	var all []sitting
	for user, n := range counts {
		d.of(forPlan, uint64(user)+2)
		start := p.joined[user] + 60*second
		end := start + int64(float64(to-start)*math.Sqrt(d.Float64())) // Many lose interest.
		size := 2.6 + math.Log1p(float64(n))*0.4
		if user == anselUser {
			end, size = to, 7
		}
		for n > 0 {
			k := min(n, int32(min(d.geometric(size), 30)))
			all = append(all, sitting{at: start + int64(d.Float64()*float64(end-start)), user: int32(user), count: k})
			n -= k
		}
	}
	slices.SortFunc(all, func(a, b sitting) int {
		switch {
		case a.at != b.at:
			if a.at < b.at {
				return -1
			}
			return 1
		case a.user != b.user:
			return int(a.user - b.user)
		}
		return int(a.count - b.count)
	})
	p.sessions = make([]session, len(all))
	had := make([]int32, p.users)
	p.from = make([]int32, p.users+1)
	id := int32(1)
	for i, s := range all {
		p.sessions[i] = session{at: s.at, user: s.user, count: s.count, first: id, nth: had[s.user]}
		id += s.count
		had[s.user] += s.count
		p.from[s.user+1]++
	}
	for i := range p.users {
		p.from[i+1] += p.from[i]
	}
	p.byUser = make([]int32, len(all))
	next := slices.Clone(p.from)
	for i, s := range p.sessions {
		p.byUser[next[s.user]] = int32(i)
		next[s.user]++
	}
}

// postedAt is when photo k of session i was posted: a few seconds after the one before, but never after the next
// session began.
func (p *plan) postedAt(i int, k int32) int64 {
	at := p.sessions[i].at + int64(k)*3*second
	if i+1 < len(p.sessions) {
		at = min(at, p.sessions[i+1].at)
	}
	return at
}

// private reports whether a photo is private: two of a hundred are.
func (p *plan) private(photo int32) bool {
	return mix64(p.seed^0x707269^uint64(photo)<<8)%50 == 0
}

// public counts the public photos of a session.
func (p *plan) public(s session) (n int32) {
	for id := s.first; id < s.first+s.count; id++ {
		if !p.private(id) {
			n++
		}
	}
	return n
}
