package site

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/renderer/pictures"
)

// openPictures opens the picture store. A bucket that cannot be used now may be so later: until then pictures that are
// kept nowhere else are missing, and pages are not.
func (s *Site) openPictures() (pictures.Files, error) {
	images, err := pictures.OpenMoving(s.cfg.Pictures, s.cfg.PicturesAlso)
	if err != nil {
		return nil, err
	}
	for _, bucket := range pictures.Buckets(images) {
		switch kept, err := bucket.Check(context.Background()); {
		case err != nil:
			s.log.Warn("the picture store cannot be used now", "err", err)
		case kept:
			s.log.Warn("the bucket of the pictures has versioning: what people delete is kept there", "fix",
				"suspend it, or let a lifecycle rule delete versions that are not current")
		}
	}
	return images, nil
}

// watchPictures logs when a bucket of pictures is given up and when it answers again, and has a metric say so.
func (s *Site) watchPictures(images pictures.Files, registry *prometheus.Registry) {
	buckets := pictures.Buckets(images)
	for _, bucket := range buckets {
		bucket.OnOutage(func(away bool, why error) {
			if away {
				s.log.Warn("the picture store does not answer: pictures kept nowhere else are missing", "err", why)
			} else {
				s.log.Info("the picture store answers again")
			}
		})
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "killr_renderer_picture_store_away", Help: "1 while the bucket of the pictures does not answer.",
	}, func() float64 {
		for _, bucket := range buckets {
			if bucket.Away() {
				return 1
			}
		}
		return 0
	}))
}
