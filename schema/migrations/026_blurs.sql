-- +goose NO TRANSACTION
-- +goose Up

-- The column color of images, and of photos, which follow (002), holds what stands for a picture until it arrives, see
-- renderer/pictures/blur.go: 2^30 and six colours of a palette, five bits each. Rows of before have one colour,
-- 0xRRGGBB; they are rewritten one by one while the site is in use. Each statement here is a transaction of its own, so
-- that nobody waits for more than one, and may be repeated.
ALTER TABLE images DROP CONSTRAINT IF EXISTS images_color_check,
    ADD CONSTRAINT images_color_check CHECK (color BETWEEN 0 AND 16777215 OR color >= 1073741824) NOT VALID;
ALTER TABLE images VALIDATE CONSTRAINT images_color_check;
CREATE INDEX IF NOT EXISTS images_flat ON images (id) WHERE color < 1073741824; -- those that are to be rewritten
COMMENT ON COLUMN images.color IS 'what stands for the picture until it arrives: 2^30 + six colours of five bits';
