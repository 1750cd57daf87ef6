// Package scale measures what more renderers are worth: the same site with 1, 2, 4 and 8 of them, while every query
// takes 20 ms longer than usual.
//
// **Input**: an edge without an in-process cache, what starts one more renderer, and albums to request. **Output**: a
// [Result] with pages per second at each number of renderers, compared with that many times those of one. **Must not
// touch**: the edge and the renderers that run. More renderers join while visitors request pages; nothing is restarted
// or reconfigured.
//
// A [Delay] between renderers and Postgres delays everything on its way to Postgres by 20 ms. So the bottleneck is the
// pool of a renderer, and not the processors of this machine. The pages are those of albums, each with queries of its
// own: waiting pages of users, or of photos, would share one query.
package scale
