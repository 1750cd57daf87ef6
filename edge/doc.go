// Package edge is the role that browsers talk to.
//
// **Input**: HTTP requests, replies from renderers on the bus, items of memcached, the stream of changes, and sessions.
// **Output**: HTTP answers, page requests and actions on the bus, sessions, and fill notes to the cachefills.
// **Must not touch**: Postgres; memcached other than by reading; templates. Renderers make every byte that a browser
// shows, except one apology.
//
// A request takes one way: [fastpath] or net/http reads it, fasthandler.go or handler.go parses it, resolve.go gets the
// page from the in-process cache, memcached or a renderer, popularity observes the page, and the handler writes it.
//
//	server.go         Server: its configuration, parts, start and stop
//	handler.go        requests that net/http reads
//	fasthandler.go    requests that the fast path reads
//	resolve.go        the page that answers a request
//	singleflight.go   one fetch for all requests for a page at the same time
//	renderers.go      page requests on the bus, with retries
//	hedge.go          sends a request again when its reply takes long
//	pulse.go          tells renderers that take long from renderers that do not run
//	encryption.go     TLS; hsts.go: has browsers use nothing else; redirect.go: sends clients without it there
//	proxies.go        clients behind trusted proxies
//	addresses.go      a limit on the connections of one address
//	readers_linux.go  bounds of visitors who read slowly
//	answer.go         header fields and bodies
//	private.go        pages for one visitor; submit.go: what their forms do
//	forms.go          reads forms, sets cookies; formmemory.go: bounds the forms of one address
//	bearer.go         API tokens, and what programs do with them
//	signin.go         begins and ends sessions, counts guesses
//	errorpages.go     error pages, ready before they are needed
//	exchange.go       one request and its answer, for header, metrics and logs
//	origins.go        the site's addresses, for absolute links
//	depends.go        the header field X-Depends
//	discovery.go      edges in nats micro ls
//	gone.go           tells renderers what this edge shows no more, for receipts
//	metrics.go        metrics
//
//	cache/        pages, in this process and in memcached
//	encryption/   certificates
//	fastpath/     answers simple requests below net/http
//	freshness/    whether a page still shows the newest rows
//	popularity/   which pages are popular, and fill notes for them
//	proxy/        what trusted proxies say of clients
//	session/      who is signed in, and how often a password may be guessed
package edge
