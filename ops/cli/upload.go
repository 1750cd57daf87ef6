package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/page"
	"flickrkillr/schema/sleep"
)

type uploadCommand struct {
	tokenFlags
	Visibility string `default:"public" enum:"public,unlisted,private" help:"Who sees the photos: public, everybody (default); unlisted, whoever has the link of one; private, you."`
	Private    bool   `help:"The same as --visibility private."`
	Album      string `placeholder:"TITLE" help:"Put the photos, and those that are there already, into the album, which is made if there is none."`
	Parallel   int    `default:"4" min:"1" max:"16" placeholder:"N" help:"Files to send at once (default ${default})."`
	Dir        string `arg:"" type:"path" help:"Folder whose pictures are uploaded, with those in its folders; or one file."`
}

// Bounds of one file's upload.
const (
	uploadTries = 8               // failures in a row, without a byte between them
	uploadStall = 2 * time.Minute // without a byte, or an answer after the last one
	uploadPause = 500 * time.Millisecond
)

// pictureNames are how the names of files end that are uploaded from a folder.
var pictureNames = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic"}

// seen is who may see the photos.
func (c *uploadCommand) seen() string {
	if c.Private {
		return "private"
	}
	return c.Visibility
}

// Run uploads the pictures of a folder, several at once.
func (c *uploadCommand) Run(s *session) error {
	edge, err := c.open(s)
	if err != nil {
		return err
	}
	kept, err := edge.kept()
	if err != nil {
		return err
	}
	pictures, err := picturesIn(c.Dir)
	if err != nil {
		return err
	}
	if len(pictures.files)+len(pictures.failed) == 0 {
		return fmt.Errorf("%s has no pictures: their names end in %s (.heic if the site takes HEIC)", c.Dir,
			strings.Join(pictureNames, ", "))
	}
	u := &uploader{url: edge.url, token: kept.Token, visibility: c.seen(), client: uploadClient(edge.client),
		progress: newUploadProgress(s.stderr, s.log, len(pictures.files), pictures.size),
		results:  pictures.failed}
	defer u.client.CloseIdleConnections()
	var group errgroup.Group
	group.SetLimit(c.Parallel)
	for _, file := range pictures.files {
		group.Go(func() error {
			if s.ctx.Err() == nil {
				u.done(u.upload(s.ctx, file))
			}
			return nil
		})
	}
	_ = group.Wait() // no function returns an error
	u.progress.end()
	err = u.report(s)
	if c.Album == "" || s.ctx.Err() != nil {
		return err
	}
	return errors.Join(err, u.addTo(s, edge, c.Album))
}

// pictureList is the pictures in a folder and those below it, without hidden ones. A file is listed whatever its name.
type pictureList struct {
	root   string
	files  []string
	size   int64          // of all, in bytes
	failed []uploadResult // what cannot be read
}

// picturesIn lists the pictures in a folder, which may be a symbolic link.
func picturesIn(root string) (*pictureList, error) {
	target, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fmt.Errorf("list the pictures: %w", err)
	}
	list := &pictureList{root: target}
	if err := filepath.WalkDir(target, list.add); err != nil {
		return nil, fmt.Errorf("list the pictures: %w", err)
	}
	return list, nil
}

// add is an [fs.WalkDirFunc]. What cannot be read keeps nothing else from being listed.
func (l *pictureList) add(path string, d fs.DirEntry, err error) error {
	if d == nil {
		return err // the root is missing
	}
	hidden := path != l.root && strings.HasPrefix(d.Name(), ".")
	isPicture := slices.Contains(pictureNames, strings.ToLower(filepath.Ext(path)))
	var info fs.FileInfo
	switch {
	case d.IsDir() && hidden:
		return filepath.SkipDir
	case err == nil && (!d.Type().IsRegular() || hidden || !isPicture && path != l.root):
		return nil
	case err == nil:
		info, err = d.Info()
	}
	if err != nil {
		l.failed = append(l.failed, uploadResult{path: path, err: err})
		return nil
	}
	l.files = append(l.files, path)
	l.size += info.Size()
	return nil
}

// uploadClient is a client without a bound on whole requests: a large file on a slow line takes its time.
func uploadClient(of *http.Client) *http.Client {
	return &http.Client{CheckRedirect: of.CheckRedirect, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
}

// uploader uploads files to one edge by tus.
type uploader struct {
	url, token string
	visibility string // of the photos: public, unlisted or private
	client     *http.Client
	progress   *uploadProgress

	mu      sync.Mutex
	results []uploadResult
}

// uploadResult is what became of one file.
type uploadResult struct {
	path      string
	photo     string // the address of its page
	duplicate bool
	err       error
}

func (u *uploader) done(r uploadResult) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.results = append(u.results, r)
	u.progress.finished()
}

// report prints what became of the files. Its error says that some failed.
func (u *uploader) report(s *session) error {
	slices.SortFunc(u.results, func(a, b uploadResult) int { return cmp.Compare(a.path, b.path) })
	uploaded, had, failed := 0, 0, 0
	for _, r := range u.results {
		switch {
		case r.err != nil:
			failed++
			fmt.Fprintln(s.stderr, plainText(r.path+": "+r.err.Error()))
		case r.duplicate:
			had++
		default:
			uploaded++
			fmt.Fprintln(s.stdout, plainText(r.photo+" "+r.path))
		}
	}
	fmt.Fprintf(s.stdout, "%d uploaded, %d there before, %d failed\n", uploaded, had, failed)
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files not uploaded", failed, len(u.results))
	}
	return nil
}

// errRefused is an answer that another try does not change.
type errRefused struct {
	error
	status int // of HTTP; 0: there is no answer
}

// upload uploads one file. After an error that may pass it asks how far the file is, and goes on from there.
func (u *uploader) upload(ctx context.Context, path string) uploadResult {
	r := uploadResult{path: path}
	file, err := os.Open(path)
	if err != nil {
		r.err = err
		return r
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		r.err = err
		return r
	}
	return u.sendFile(ctx, path, &fileUpload{
		uploader: u, file: file, name: filepath.Base(file.Name()), size: info.Size(), visibility: u.visibility,
		key: u.keyOf(path, info),
	})
}

// sendFile uploads one file, which errors call by a name.
func (u *uploader) sendFile(ctx context.Context, name string, one *fileUpload) uploadResult {
	r := uploadResult{path: name}
	for tries := 0; ; tries++ {
		before := one.offset
		if r.photo, r.duplicate, r.err = one.try(ctx); r.err == nil {
			return r
		}
		if one.offset > before {
			tries = 0
		}
		if _, refused := errors.AsType[errRefused](r.err); refused || tries == uploadTries {
			return r
		}
		pause := min(uploadPause<<tries, 30*time.Second)
		if !sleep.For(ctx, pause/2+time.Duration(mathrand.Int64N(int64(pause)))) {
			return r
		}
	}
}

// keyOf names the upload of a file, the same in each run while the file is the same. So the edge knows for a day how
// far it is, or which photo it has become, and nothing is kept on this computer.
func (u *uploader) keyOf(path string, info fs.FileInfo) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %s", path, info.Size(), info.ModTime().UnixNano(), u.visibility))
	return hex.EncodeToString(sum[:])
}

// fileUpload is the upload of one file.
type fileUpload struct {
	*uploader
	file       io.ReaderAt
	name       string // of the file, without folders
	size       int64
	visibility string
	key        string // names the upload: the same file twice in a folder is two uploads
	path       string // of the upload at the edge; "": not begun
	offset     int64  // bytes that the edge has
}

// try sends what the edge does not have yet. It asks for that by GET, whose answer says why there is no such upload.
func (f *fileUpload) try(ctx context.Context) (photo string, duplicate bool, err error) {
	method, path, header := http.MethodGet, f.path, map[string]string{}
	if path == "" {
		method, path = http.MethodPost, page.PathUploadFiles
		header["Upload-Length"] = strconv.FormatInt(f.size, 10)
		header["Upload-Metadata"] = f.metadata()
		header["Idempotency-Key"] = f.key
	}
	answer, err := f.send(ctx, method, path, header, nil, 0)
	if refused, ok := errors.AsType[errRefused](err); ok && refused.status == http.StatusGone && f.path == "" {
		f.key = rand.Text() // an earlier run's upload was refused, for a reason that may have gone
		return "", false, fmt.Errorf("in an earlier run: %w", refused.error)
	}
	if err != nil {
		return "", false, err
	}
	before := false // whether an earlier run has uploaded it
	if f.path == "" {
		f.path, before = answer.Get("Location"), true
	}
	for {
		if page := answer.Get("Killr-Photo"); page != "" {
			f.progress.at(f.size - f.offset)
			return f.url + page, before || answer.Get("Killr-Duplicate") != "", nil
		}
		before = false
		offset, err := strconv.ParseInt(answer.Get("Upload-Offset"), 10, 64)
		if err != nil || offset < 0 || offset > f.size {
			return "", false, errRefused{error: fmt.Errorf("%s answers without an offset", f.url)}
		}
		f.progress.at(offset - f.offset)
		f.offset = offset
		header = map[string]string{"Upload-Offset": strconv.FormatInt(offset, 10),
			"Content-Type": "application/offset+octet-stream"}
		body := io.NewSectionReader(f.file, offset, f.size-offset)
		if answer, err = f.send(ctx, http.MethodPatch, f.path, header, body, f.size-offset); err != nil {
			return "", false, err
		}
	}
}

func (f *fileUpload) metadata() string {
	pairs := []string{"filename " + base64.StdEncoding.EncodeToString([]byte(f.name))}
	if kind := mime.TypeByExtension(filepath.Ext(f.name)); kind != "" {
		pairs = append(pairs, "filetype "+base64.StdEncoding.EncodeToString([]byte(kind)))
	}
	pairs = append(pairs, "visibility "+base64.StdEncoding.EncodeToString([]byte(f.visibility)))
	return strings.Join(pairs, ",")
}

// movingBody is a body that notes when it moves.
type movingBody struct {
	io.Reader
	moved func()
}

func (b movingBody) Read(p []byte) (int, error) {
	b.moved()
	return b.Reader.Read(p)
}

// send makes a request and returns the header of an answer that is no refusal. An errRefused says why not.
func (f *fileUpload) send(ctx context.Context, method, path string, header map[string]string, body io.Reader,
	size int64) (http.Header, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := time.AfterFunc(uploadStall, cancel)
	defer stall.Stop()
	if body != nil {
		body = movingBody{body, func() { stall.Reset(uploadStall) }}
	}
	r, err := http.NewRequestWithContext(ctx, method, f.url+path, body)
	if err != nil {
		return nil, errRefused{error: err}
	}
	r.ContentLength = size
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+f.token)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var said struct{ Problem string }
	data, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	_ = json.Unmarshal(data, &said) // a proxy says something else
	err = errors.New(cmp.Or(said.Problem, answer.Status))
	switch status := answer.StatusCode; {
	case status < 300:
		return answer.Header, nil
	case status == http.StatusConflict, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests,
		status >= 500:
		return nil, err
	}
	return nil, errRefused{err, answer.StatusCode}
}
