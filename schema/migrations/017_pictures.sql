-- +goose Up

-- The address of a picture names the photo and its generation, see renderer/picturekey. Who hides a photo, or replaces
-- its image, ends the address: a later one has another generation. A number is not used twice, so that a photo that is
-- inserted again with the id of a deleted one has another address, too. Photos of before keep 0: no row is written.
CREATE SEQUENCE picture_generations AS integer CYCLE CACHE 32;
ALTER TABLE photos ADD COLUMN picture integer NOT NULL DEFAULT 0;
ALTER TABLE photos ALTER COLUMN picture SET DEFAULT nextval('picture_generations');

-- +goose StatementBegin
CREATE FUNCTION end_picture() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.picture := nextval('picture_generations');
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_picture BEFORE UPDATE ON photos FOR EACH ROW
    WHEN (NEW.private AND NOT OLD.private OR NEW.image_id <> OLD.image_id)
    EXECUTE FUNCTION end_picture();
