package templates

import (
	"strconv"
	"strings"
	"time"
)

// Holdings counts what a person has.
type Holdings struct {
	Photos   int `json:"photos"`
	Albums   int `json:"albums"`
	Tags     int `json:"tags"`  // counted once for each photo that has one
	Files    int `json:"files"` // different originals; each has stored forms of other sizes
	Codes    int `json:"recovery_codes"`
	Passkeys int `json:"passkeys"`
	Emails   int `json:"email_addresses"` // 0 or 1
	Shares   int `json:"share_links"`
}

// Receipt says what has become of an account that was deleted. It is also what programs get, as JSON. A zero time means
// "not yet".
type Receipt struct {
	Name            string      `json:"name"`
	Complete        bool        `json:"complete"` // nothing below is left to be done
	DeletedAt       time.Time   `json:"deleted_at"`
	RowsGoneAt      time.Time   `json:"rows_gone_at,omitzero"`
	FilesGoneAt     time.Time   `json:"files_gone_at,omitzero"` // when the disk was free
	SessionsEndedAt time.Time   `json:"sessions_ended_at,omitzero"`
	NameKeptUntil   time.Time   `json:"name_kept_until,omitzero"`
	ReadableUntil   time.Time   `json:"readable_until"`
	Scope           string      `json:"scope"`
	Version         int64       `json:"version"` // of the scope: no older copy of a page is shown
	Removed         Holdings    `json:"removed"` // so far
	Sessions        int         `json:"sessions"`
	Tokens          int         `json:"tokens"`
	FilesRemoved    int         `json:"files_removed"`
	FilesKept       int         `json:"files_kept"`  // photos of others show them
	FreedFiles      int         `json:"freed_files"` // on the disk: originals, and all that was made of them
	FreedBytes      int64       `json:"freed_bytes"` // of these
	Photos          []int64     `json:"photo_ids"`   // the first 1,000
	Albums          []int64     `json:"album_ids"`   // likewise
	Edges           []EdgeKnows `json:"edges"`
}

// EdgeKnows says since when an edge has shown nothing of the person.
type EdgeKnows struct {
	Edge  string    `json:"edge"`
	Since time.Time `json:"since,omitzero"` // zero: it has not said so
}

// FilesLeft is how many originals are still to be looked at.
func (r Receipt) FilesLeft() int { return max(0, r.Removed.Files-r.FilesRemoved-r.FilesKept) }

// atLeast is a count, of which there may be more.
func atLeast(more bool, n int) string {
	if more {
		return count(n) + " or more"
	}
	return count(n)
}

// removedTitle is the heading of what was removed.
func removedTitle(r Receipt) string {
	if r.RowsGoneAt.IsZero() {
		return "What was removed so far"
	}
	return "What was removed"
}

// moment is a time in milliseconds, or "not yet".
func moment(t time.Time) string {
	if t.IsZero() {
		return "not yet"
	}
	return t.UTC().Format("2 January 2006, 15:04:05.000 UTC")
}

// numbers lists ids.
func numbers(ids []int64) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(all, ", ")
}
