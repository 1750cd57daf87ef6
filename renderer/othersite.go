package renderer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/wire"
)

// OtherSiteError says that the bus carries the changes of another site than the database's. Pages made from this
// database would reach that site's visitors.
type OtherSiteError struct {
	Bus, Addr, Database   string // Bus is the address of NATS without a password, Addr the database's host:port
	BusSite, DatabaseSite string // their ids
}

func (e *OtherSiteError) Error() string {
	return fmt.Sprintf("renderer: NATS at %s belongs to site %s, but database %q on %s to site %s", e.Bus, e.BusSite,
		e.Database, e.Addr, e.DatabaseSite)
}

func isOtherSite(err error) bool {
	_, is := errors.AsType[*OtherSiteError](err)
	return is
}

// siteTimeout is how long a renderer that starts waits for the stream to tell whose it is. JetStream may be away or its
// disk full, which keeps nobody from pages: then the relay asks later.
const siteTimeout = 2 * time.Second

// checkSite makes sure that the bus belongs to the database's site, and claims a bus that belongs to none. Errors:
// *OtherSiteError.
func (s *Service) checkSite(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, siteTimeout)
	defer cancel()
	err := s.relay.makeStream(ask)
	switch {
	case isOtherSite(err):
		return err
	case err != nil && ctx.Err() == nil:
		s.log.Warn("whose bus this is will be checked later", "err", err)
	}
	return nil
}

// makeStream creates the stream if it does not exist, and checks that it belongs to the database's site. Of several
// renderers that create it at once one succeeds, and the others see its site. Besides the site it changes nothing of an
// existing stream: an operator may have set its replicas and limits.
func (r *relay) makeStream(ctx context.Context) error {
	if r.stream {
		return nil
	}
	if err := r.claimStream(ctx); err != nil {
		return &busError{"make the stream " + wire.StreamChanges, err}
	}
	r.stream = true
	r.joined.Store(true)
	return nil
}

func (r *relay) claimStream(ctx context.Context) error {
	mine := map[string]string{wire.MetadataSite: r.site}
	stream, err := r.js.Stream(ctx, wire.StreamChanges)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		config := r.config
		config.Metadata = mine
		stream, err = r.js.CreateStream(ctx, config)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another relay created it
			stream, err = r.js.Stream(ctx, wire.StreamChanges)
		}
	}
	if err != nil {
		return err
	}
	config := stream.CachedInfo().Config
	switch owner := config.Metadata[wire.MetadataSite]; owner {
	case r.site:
		return nil
	case "": // made by hand, or by a version that wrote no site into it
		config.Metadata = maps.Clone(config.Metadata)
		if config.Metadata == nil {
			config.Metadata = map[string]string{}
		}
		maps.Copy(config.Metadata, mine)
		_, err = r.js.UpdateStream(ctx, config)
		return err
	default:
		return &OtherSiteError{
			Bus:          r.nc.ConnectedUrlRedacted(),
			Addr:         databaseAddr(r.pool),
			Database:     r.pool.Config().ConnConfig.Database,
			BusSite:      owner,
			DatabaseSite: r.site,
		}
	}
}
