// Package upload takes files from browsers and programs and passes them to renderers in chunks.
//
// **Input**: requests of tus 1.0 (https://tus.io/protocols/resumable-upload) and multipart forms, each with the number
// of the user who sends them; events of uploads on the bus. **Output**: requests "upload.<verb>.<user>.<id>" on the
// bus, answers, and events for one user. **Must not touch**: sessions, cookies, pages and their caches.
//
// An edge keeps nothing of an upload that another one needs: each chunk is with a renderer before the offset says so.
// So an upload that begins at one edge goes on at another. What is kept here, for whoever goes on at the same edge, is
// the end of a body that filled no chunk (tails.go). The offset counts it, too. If the edge ends, or another one
// goes on, the offset is less than a chunk smaller: a sender must be able to send the last 512 KiB again.
//
// Files:
//
//	tus.go       the methods of tus; metadata.go: names and the header field Upload-Metadata
//	form.go      files of a multipart form, for browsers without script
//	receive.go   a body becomes chunks, at most four of which are under way
//	buffers.go   the memory for chunks, which all uploads share
//	fillers.go   how many of them one user fills at a time
//	tails.go     ends of bodies that filled no chunk
//	requests.go  requests to renderers
//	visitors.go  how chunks make way for pages
//	events.go    what happens to a user's uploads
package upload
