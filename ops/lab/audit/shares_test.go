package audit

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"flickrkillr/schema/page"
)

// siteLink is a link of the site.
type siteLink struct {
	photo, album int64 // one is 0
	password     string
	revoked      bool
}

// siteAlbum is an album of the site with the photo that was put into it last.
type siteAlbum struct {
	owner, title string
	photo        int64
}

// siteLinks is what the site of accounts has of links.
type siteLinks struct {
	links  []*siteLink // by number, from 1
	albums []siteAlbum // by number, from 1

	empty  bool // links show nothing
	counts bool // a link that is revoked counts
	opens  bool // the password of a link need not be given
	cached bool // what a link shows is in a cache
	takes  bool // a link that is revoked takes files
	lists  bool // everybody sees what is added by links
}

// tokenOf is the token of a link with a number.
func tokenOf(link int) string {
	return page.ShareToken([16]byte{byte(link), 7, 15: byte(link)})
}

// answersLink does what a form about links or albums says, and shows what a link leads to. false: it is neither.
func (s *accountsSite) answersLink(w http.ResponseWriter, r *http.Request, name string) bool {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.FormValue(name), 10, 64) // 0: there is none
		return n
	}
	to := r.URL.Path
	switch {
	case r.Method+to == "POST/me/shares" && r.FormValue("end") != "":
		s.links[number("end")-1].revoked = true
	case r.Method+to == "POST/me/shares":
		s.links = append(s.links, &siteLink{photo: number("photo"), album: number("album"),
			password: r.FormValue("password")})
	case r.Method+to == "POST/me/photos" && r.FormValue("do") == "unlisted":
		s.links = append(s.links, &siteLink{photo: number("photos")})
	case r.Method+to == "POST/me/albums" && r.FormValue("do") == "make":
		s.albums = append(s.albums, siteAlbum{owner: name, title: r.FormValue("title")})
		to = fmt.Sprint("/me/albums/", len(s.albums))
	case r.Method+to == "POST/me/albums":
		for i := range s.albums {
			if s.albums[i].title == r.FormValue("album") {
				s.albums[i].photo = number("photos")
			}
		}
	case r.Method+to == "GET/me/shares" && r.URL.RawQuery != "":
		fmt.Fprintf(w, `<input value="/s/%s"><button name="end" value="%d">`, tokenOf(len(s.links)), len(s.links))
		return true
	case strings.HasPrefix(to, page.PathShares):
		s.showLink(w, r)
		return true
	case strings.HasPrefix(to, "/album/"):
		w.WriteHeader(http.StatusNotFound)
		return true
	default:
		return false
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return true
}

func (s *accountsSite) showLink(w http.ResponseWriter, r *http.Request) {
	share, ok := page.ParseShare(r.URL.Path)
	files, adds := page.ParseShareFiles(r.URL.Path)
	if adds {
		share, ok = files, true
	}
	n := 0
	for n < len(s.links) && tokenOf(n+1) != share.Token {
		n++
	}
	if !ok || n == len(s.links) || s.empty || s.links[n].revoked && !s.counts && !(adds && s.takes) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	l := s.links[n]
	if adds {
		_, title, _ := strings.Cut(r.Header.Get("Upload-Metadata"), "filename ")
		s.photos = append(s.photos, &sitePhoto{owner: s.albums[l.album-1].owner, title: title, private: !s.lists})
		w.Header().Set("Killr-Photo", fmt.Sprint(files.Path(), "/", len(s.photos)))
		w.WriteHeader(http.StatusCreated)
		return
	}
	if r.Method == http.MethodPost {
		http.SetCookie(w, &http.Cookie{Name: "share", Value: l.password})
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	if c, err := r.Cookie("share"); l.password != "" && err != nil && !s.opens {
		if share.Width != 0 {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, "a form")
		return
	} else if err == nil && c.Value != l.password {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if s.cached {
		w.Header().Set("X-Cache", "near")
	}
	if share.Photo == 0 && l.album != 0 {
		share.Photo = s.albums[l.album-1].photo
		for i := range s.photos {
			fmt.Fprintln(w, page.Share{Token: share.Token, Photo: int64(i + 1)}.Path())
		}
	}
	share.Photo = cmp.Or(share.Photo, l.photo)
	fmt.Fprint(w, share.Path())
}
