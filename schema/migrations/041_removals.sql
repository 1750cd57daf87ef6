-- +goose Up

-- A server that was asked to remove a file, and did not answer, may do so later. So an original whose removal was tried
-- rests: until due_at nobody removes it, and no upload stores it. Removed files are looked for once more, because
-- somebody may have been making a derivative. The release before minds neither, and works as it did.
ALTER TABLE unused_images
    ADD COLUMN tried_at timestamptz, -- when its removal began, or failed; NULL: none that may still be done
    ADD COLUMN again boolean NOT NULL DEFAULT false; -- its files were removed, and are removed once more
CREATE INDEX unused_images_due ON unused_images (due_at, id);
