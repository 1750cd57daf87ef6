package chaos

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/mutant"
	"flickrkillr/ops/site"
)

// withoutOutages takes a bucket that does not answer for one without the picture.
var withoutOutages = []mutant.Edit{mutant.Replace("renderer/pictures/s3_failure.go",
	`	return fmt.Errorf("%w: %w", ErrUnavailable, err)`, `	return fmt.Errorf("%w: %w", fs.ErrNotExist, err)`)}

// noCopies is a site on which renderers fetch every picture from the bucket.
var noCopies = Control{Off: "copies in edges and in memcached", Setup: func(s *Setup) {
	s.NoNear, s.NoMemcached, s.Cachefills = true, true, 0
}}

// bucketRows are the rows of a site whose pictures are in a bucket. People upload photos meanwhile, and delete some.
func bucketRows() []Row {
	bucket := usual.on(func(s *Setup) { s.Bucket = true })
	loads := func(others Target) []Load {
		return []Load{
			{Name: "pages", Share: .4, Exponent: 1, Target: Target{P99: 100 * time.Millisecond}},
			{Name: "pictures that are kept", Share: .4, Pages: smallPictures, Exponent: 1, Known: true,
				Target: Target{P99: 100 * time.Millisecond}},
			{Name: "other pictures", Share: .2, Pages: largePictures, Refusals: true, Target: others},
		}
	}
	return []Row{
		{
			Name: "the server of the bucket is gone for 10 s", Visitor: "some pictures come later",
			Why:   "edges and memcached have copies; uploads are sent again; what a DELETE left is removed later",
			Setup: bucket, Loads: loads(Target{Refused: 2 * time.Second, Recovered: 5 * time.Second}),
			Fault: Fault{Hold: 10 * time.Second, Inject: bucketGone}, Control: noCopies,
		},
		{
			Name: "the server of the bucket answers 503 for 10 s", Visitor: "some pictures come later",
			Why:   "a server that refuses is away, and not without the picture",
			Setup: bucket, Loads: loads(Target{Refused: 2 * time.Second, Recovered: 5 * time.Second}),
			Fault:   Fault{Hold: 10 * time.Second, Inject: bucketRefuses},
			Control: Control{Off: "telling outages from missing pictures", Edits: withoutOutages},
		},
		{
			Name: "the server of the bucket is 1 s slow for 10 s", Visitor: "some pictures come later",
			Why:   "edges and memcached have copies; nobody removes or stores what may be removed late",
			Setup: bucket, Loads: loads(Target{Recovered: 10 * time.Second}),
			Fault: Fault{Hold: 10 * time.Second, Inject: bucketSlow}, Control: noCopies,
		},
	}
}

// pictureLink is the address of a picture on a page.
var pictureLink = regexp.MustCompile(`/img/[^/"\s]+/\d+\.jpg`)

// The pictures that visitors ask for: keptOnes are asked for again and again, the others are on so many pages.
const (
	keptPictures     = 100
	pagesOfPictures  = 400
	smallestPictures = "/320.jpg"
)

// findPictures lists the addresses of pictures that pages of users have.
func findPictures(ctx context.Context, users []bench.Page, edge string) (found []bench.Page, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	seen := map[string]bool{}
	for _, p := range users[:min(len(users), pagesOfPictures)] {
		body, err := site.Get(ctx, client, edge+p.Path)
		if err != nil {
			return nil, err
		}
		for _, link := range pictureLink.FindAllString(string(body), -1) {
			if !seen[link] {
				seen[link] = true
				found = append(found, bench.Page{Path: link})
			}
		}
	}
	if len(found) <= keptPictures {
		return nil, errors.New("the pages of users have too few pictures")
	}
	return found, nil
}

// smallPictures are some of the smallest.
func smallPictures(p Pages) (some []bench.Page) {
	for _, picture := range p.pictures {
		if strings.HasSuffix(picture.Path, smallestPictures) && len(some) < keptPictures {
			some = append(some, picture)
		}
	}
	return some
}

// largePictures are all but the smallest. There are so many that hardly any is asked for twice.
func largePictures(p Pages) (others []bench.Page) {
	for _, picture := range p.pictures {
		if !strings.HasSuffix(picture.Path, smallestPictures) {
			others = append(others, picture)
		}
	}
	return others
}
