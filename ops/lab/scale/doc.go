// Package scale finds out what more renderers are worth: the same site with 1, 2, 4 and 8 of them, while every query
// takes 20 ms longer than it does.
//
// In flow an edge that keeps nothing, what starts one more renderer, and albums to look at; out flows a [Result] with
// pages a second at each number against so many times those of one. Renderers are added while visitors are there;
// nothing is restarted or told of them.
//
// The 20 ms are what makes one renderer's pool the bottleneck, and not this machine's processors: a [Delay] between
// renderers and Postgres holds back whatever passes towards Postgres. Photo pages are looked at, each with a query of
// its own: pages of users would share one.
package scale
