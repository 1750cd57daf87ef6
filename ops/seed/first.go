package seed

import (
	"cmp"
	"slices"

	"flickrkillr/renderer/store"
)

// mostLiked is how many most liked photos the front page shows.
const mostLiked = 10

// shownFirst returns the indexes of the pictures on the pages that a new visitor sees first: the front page, and the
// first pages of ansel and mallory. It needs the subjects of the pictures, but not the pictures.
func (w *world) shownFirst() map[int32]bool {
	m := w.maker()
	shown := map[int32]bool{}
	// newest adds the first page of sessions that are in order of time.
	newest := func(sessions []int32) {
		left := store.PageSize
		for _, i := range slices.Backward(sessions) {
			of := m.plan.sessions[i]
			s := m.shoot(int(i))
			for k := of.count - 1; k >= 0 && left > 0; k-- {
				if !m.plan.private(of.first + k) {
					shown[m.pictureOf(&s, int(of.nth+k))] = true
					left--
				}
			}
			if left == 0 {
				return
			}
		}
	}
	all := make([]int32, len(m.plan.sessions))
	for i := range all {
		all[i] = int32(i)
	}
	newest(all)
	for user := range min(namedUsers, m.plan.users) {
		newest(m.plan.byUser[m.plan.from[user]:m.plan.from[user+1]])
	}
	for _, p := range m.mostLiked() {
		s := m.shoot(int(p.session))
		shown[m.pictureOf(&s, int(m.plan.sessions[p.session].nth+p.k))] = true
	}
	return shown
}

// liked is photo k of a session, with its likes.
type liked struct{ likes, session, k int32 }

// mostLiked returns the most liked photos of the front page, in order.
func (m *maker) mostLiked() []liked {
	var top []liked
	for i, of := range m.plan.sessions {
		style := m.style(of.user)
		for k := range of.count {
			p := liked{m.likes(of.first+k, &style), int32(i), k}
			if len(top) == mostLiked && p.likes < top[mostLiked-1].likes {
				continue
			}
			top = append(top, p)
			slices.SortFunc(top, func(a, b liked) int { // Of two, the newer comes first, as on the page.
				return cmp.Or(cmp.Compare(b.likes, a.likes), cmp.Compare(b.session, a.session), cmp.Compare(b.k, a.k))
			})
			top = top[:min(len(top), mostLiked)]
		}
	}
	return top
}
