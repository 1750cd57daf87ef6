-- +goose Up
-- +goose StatementBegin
-- Checks of photos that are there (018), and the indexes of bins. Meanwhile everybody reads; who writes waits for the
-- indexes, which have no row yet, so that only reading all photos takes time.
-- +goose StatementEnd
ALTER TABLE photos VALIDATE CONSTRAINT photos_bin_is_private;
CREATE INDEX photos_binned ON photos (binned_at) WHERE binned_at IS NOT NULL; -- what is deleted for good
CREATE INDEX photos_own_bin ON photos (user_id, binned_at, id) WHERE binned_at IS NOT NULL; -- the page of a bin
