// Package pictures stores photographs: it takes originals in, keeps them unchanged, and makes the JPEGs that browsers
// see.
//
// Input: an uploaded file ([Ingest]), or the id of a picture and a width ([Stored], [Derive]).
//
// Output: facts about the picture (id, size as seen, blur, camera data), or the bytes of a JPEG.
//
// Must not touch: rows, the bus, HTTP. It does not bound how many pictures are decoded at once: the caller's pool does,
// because only the caller knows how much memory there is (see [Limits] for what one picture needs).
//
// The id that Ingest gives an original is a hash of its bytes; the one that IngestAs is given names one picture for
// ever. So a derivative can be cached for ever. A draft ([KeepDraft]) stands for an original that is not stored yet, or
// lost. Derivatives lie beside originals: Ingest makes most of them, Derive makes and stores a missing one, Stored only
// reads. Originals are never sent: every file that reaches a browser was decoded and encoded again. That makes a file
// harmless that is also a script, or that contains the place where it was taken.
//
// Where files are kept is the business of [Files] alone, which has two implementations: a directory ([Dir]) and a
// bucket of an S3 server ([Bucket]). They share no more than what is done with files: put one as a whole, open it for
// reading at any place, delete an original with all that was made of it, measure and list; and take pieces in any
// order, say which are there, and make a file of them.
//
// The files:
//
//	pictures.go  Store, ids and names of files
//	staging.go   Staging, where pieces of files wait that are on their way
//	files.go     Files, both together, at a location; list.go lists them
//	dir.go       Files in a directory; staging_dir.go staged.go: its staging area
//	s3.go        Files in a bucket of an S3 server; s3_object.go reads one, s3_staging.go is its staging area,
//	             s3_location.go its address, s3_failure.go what its errors mean
//	ingest.go    takes a file in; refuse.go: why one is refused
//	inspect.go   what is known of a file before it is decoded; develop.go: decodes one that is stored
//	format.go    formats, and limits checked before decoding; complete.go: files that are cut off
//	camera.go    EXIF data
//	blur.go      what stands for a picture until it arrives
//	derive.go    derivatives: sizes, reading, making
//	shrink.go resample.go encode.go   making one: averaging blocks, resampling, JPEG
package pictures
