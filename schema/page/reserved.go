package page

import "slices"

// reserved are names that nobody may take: the first segments of the site's paths, its roles, and what visitors would
// take for the site itself.
var reserved = []string{
	// paths
	"about", "after", "album", "albums", "before", "confirm", "explore", "feed", "img", "me", "oembed", "photo",
	"photos", "receipt", "recover", "reset", "s", "search", "signin", "signout", "signup", "sitemap", "static", "tag",
	"tags", "upload",
	// paths that the site may have one day
	"account", "accounts", "api", "app", "assets", "auth", "blog", "comments", "contact", "download", "edit", "events",
	"faves", "files", "groups", "home", "images", "login", "logout", "new", "notifications", "oauth", "password",
	"passkeys", "people", "private", "profile", "public", "register", "sessions", "settings", "share", "tokens",
	"uploads", "user", "users", "well-known", "ws",
	// roles
	"bus", "cachefill", "edge", "killr", "memcached", "nats", "postgres", "renderer",
	// the site itself
	"abuse", "admin", "administrator", "anonymous", "everyone", "flickr", "flickrkillr", "flickr-killr",
	"flickr_killr", "help", "hostmaster", "info", "legal", "mail", "moderator", "nobody", "noreply", "no-reply", "null",
	"official", "owner", "postmaster", "privacy", "root", "security", "staff", "status", "support", "sysadmin",
	"system", "team", "terms", "test", "undefined", "webmaster", "www", "you",
}

// Reserved reports whether a user name is kept for the site.
func Reserved(name string) bool { return slices.Contains(reserved, name) }
