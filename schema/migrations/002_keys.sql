-- +goose Up
-- Keys, indexes and foreign keys. Each foreign key and each listing order has its index.

ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (name);
CREATE INDEX users_name_trgm ON users USING gin (name gin_trgm_ops);
CREATE INDEX users_display_name_trgm ON users USING gin (display_name gin_trgm_ops);

ALTER TABLE images ADD PRIMARY KEY (id), ADD UNIQUE (id, width, height, color);

ALTER TABLE photos
    ADD PRIMARY KEY (id),
    ADD UNIQUE (id, user_id); -- album_photos refers to it
CREATE INDEX photos_stream ON photos (user_id, private, id);                              -- a user's page, previous and next, the key to users
CREATE INDEX photos_recent ON photos (id) WHERE NOT private;                              -- home
CREATE INDEX photos_popular ON photos (faves, id) WHERE NOT private AND faves > 0;        -- home
CREATE INDEX photos_image ON photos (image_id);                                           -- the key to images
CREATE INDEX photos_text ON photos USING gin (to_tsvector('simple', title || ' ' || description)) WHERE NOT private;
CREATE INDEX photos_title_trgm ON photos USING gin (title gin_trgm_ops) WHERE NOT private;

ALTER TABLE tags ADD PRIMARY KEY (id), ADD UNIQUE (name);
CREATE INDEX tags_name_trgm ON tags USING gin (name gin_trgm_ops);

ALTER TABLE photo_tags ADD PRIMARY KEY (photo_id, tag_id);
CREATE INDEX photo_tags_listing ON photo_tags (tag_id, photo_id);

ALTER TABLE albums ADD PRIMARY KEY (id), ADD UNIQUE (id, user_id);
CREATE INDEX albums_user ON albums (user_id, id);

ALTER TABLE album_photos ADD PRIMARY KEY (album_id, photo_id), ADD UNIQUE (album_id, position) DEFERRABLE;
CREATE INDEX album_photos_photo ON album_photos (photo_id);

-- Photos and albums do not fall with their user: that would lock the user first and the photos after, the other way round than every edit
-- does, and deadlock with edits. Delete the albums and the photos, then the user.
ALTER TABLE photos
    ADD FOREIGN KEY (user_id) REFERENCES users (id),
    ADD FOREIGN KEY (image_id, width, height, color) REFERENCES images (id, width, height, color) ON UPDATE CASCADE;
ALTER TABLE albums ADD FOREIGN KEY (user_id) REFERENCES users (id);
ALTER TABLE photo_tags
    ADD FOREIGN KEY (photo_id) REFERENCES photos (id) ON DELETE CASCADE,
    ADD FOREIGN KEY (tag_id) REFERENCES tags (id);
ALTER TABLE album_photos
    ADD FOREIGN KEY (album_id, user_id) REFERENCES albums (id, user_id) ON DELETE CASCADE,
    ADD FOREIGN KEY (photo_id, user_id) REFERENCES photos (id, user_id) ON DELETE CASCADE;
