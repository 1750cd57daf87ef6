-- +goose Up
-- The search index. A row of photo_search holds what is searched of one public photo, a row of person_search what is searched of a user.
-- Package renderer/words makes their lexemes; no function here does, so that queries and rows are read by the same code.
--
-- Who changes content writes no lexemes: triggers note in search_queue what has to be indexed again, and a renderer does it, usually within
-- half a second. Only what must not be found any more is taken out at once, in the transaction that hides it.

-- Taken at once and in this order, so that a migration of a database in use does not wait for a table while it holds another one that a
-- writer wants; migrations.Up tries again if it meets one that goes the other way round.
LOCK TABLE tags, photo_tags, albums, album_photos, photos, users IN SHARE ROW EXCLUSIVE MODE;

-- Photos without a row here are not found: the private ones, and for a moment new ones.
CREATE TABLE photo_search (
    photo_id  bigint   PRIMARY KEY,
    user_id   bigint   NOT NULL,
    faves     integer  NOT NULL, -- at most 500,000
    quality   integer  NOT NULL, -- orders what fits equally well: faves, and how new the photo is
    year      integer  NOT NULL, -- taken, or posted where that is unknown
    shape     text     NOT NULL, -- landscape, portrait, square
    camera    text     NOT NULL, -- '' where unknown
    words     tsvector NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE person_search (
    user_id   bigint   PRIMARY KEY,
    words     tsvector NOT NULL
);

-- How many photos of photo_search have a lexeme: what a query's words cost, which words begin with what is typed, and which are meant.
CREATE TABLE search_words (
    word      text COLLATE "C" PRIMARY KEY,
    photos    integer NOT NULL,
    form      text    NOT NULL -- as somebody wrote it; '' for what is no word
) WITH (fillfactor = 70);

-- What has to be indexed again. removed: lexemes of a row that a trigger has deleted, to be subtracted from search_words.
CREATE TABLE search_queue (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    later     boolean NOT NULL, -- follows from the change of something else, perhaps with 10,000 others: what was changed itself goes first
    kind      text    NOT NULL CHECK (kind IN ('photo', 'user', 'album', 'photos of user')),
    ref       bigint  NOT NULL,
    removed   text[],
    PRIMARY KEY (later, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- built is false until the rows that were there before this table are indexed: a renderer does that in bulk. emptied counts the times that
-- a table was emptied: an index that was built meanwhile is built again.
CREATE TABLE search_state (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    built    boolean NOT NULL,
    emptied  bigint  NOT NULL DEFAULT 0
);
INSERT INTO search_state (built) SELECT NOT EXISTS (SELECT FROM users);

-- +goose StatementBegin
-- The indexes that a bulk load does without. fastupdate is off, so that no search has to read a list of what is pending.
CREATE FUNCTION search_index_definitions() RETURNS SETOF text LANGUAGE sql AS $$
    VALUES ('CREATE INDEX photo_search_words ON photo_search USING gin (words) WITH (fastupdate = off)'),
        ('CREATE INDEX person_search_words ON person_search USING gin (words) WITH (fastupdate = off)'),
        ('CREATE INDEX search_words_trgm ON search_words USING gin (word gin_trgm_ops) WHERE left(word, 1) NOT IN (''#'', ''~'', ''@'', '':'')'),
        ('CREATE INDEX search_words_tags ON search_words USING gin (word gin_trgm_ops) WHERE left(word, 1) = ''#''')
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION create_search_indexes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    definition text;
BEGIN
    FOR definition IN SELECT search_index_definitions() LOOP
        EXECUTE definition;
    END LOOP;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION drop_search_indexes() RETURNS void LANGUAGE sql AS $$
    DROP INDEX IF EXISTS photo_search_words, person_search_words, search_words_trgm, search_words_tags;
$$;
-- +goose StatementEnd
SELECT create_search_indexes();

-- What these served is served by the above.
DROP INDEX photos_text, photos_title_trgm, users_name_trgm, users_display_name_trgm, tags_name_trgm;

-- +goose StatementBegin
-- Takes photos out of the index at once, and leaves it to the queue to count their words no more.
CREATE FUNCTION search_forget(ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH gone AS (DELETE FROM photo_search s WHERE s.photo_id = ANY (ids) RETURNING s.photo_id, s.words)
    INSERT INTO search_queue (later, kind, ref, removed) SELECT false, 'photo', photo_id, tsvector_to_array(words) FROM gone ORDER BY photo_id;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION search_photos_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO search_queue (later, kind, ref) SELECT false, 'photo', id FROM new_rows WHERE NOT private ORDER BY id;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM search_forget(ARRAY(SELECT id FROM old_rows WHERE NOT private ORDER BY id));
        -- A renderer may just have read it as it was before.
        INSERT INTO search_queue (later, kind, ref) SELECT false, 'photo', id FROM old_rows WHERE NOT private ORDER BY id;
    ELSE
        PERFORM search_forget(ARRAY(SELECT n.id FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE n.private AND NOT o.private ORDER BY n.id));
        -- Also what was hidden, for the same reason.
        INSERT INTO search_queue (later, kind, ref) SELECT false, 'photo', n.id FROM old_rows o JOIN new_rows n ON n.id = o.id
            WHERE n IS DISTINCT FROM o AND NOT (n.private AND o.private) ORDER BY n.id;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- For photo_tags and album_photos.
CREATE FUNCTION search_members_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search_queue (later, kind, ref) SELECT false, 'photo', photo_id FROM (SELECT DISTINCT photo_id FROM new_rows) AS n ORDER BY 3;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO search_queue (later, kind, ref) SELECT false, 'photo', photo_id FROM (SELECT DISTINCT photo_id FROM old_rows) AS o ORDER BY 3;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION search_album_renamed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO search_queue (later, kind, ref) VALUES (false, 'album', NEW.id);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION search_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM person_search WHERE user_id = OLD.id;
        INSERT INTO search_queue (later, kind, ref) VALUES (false, 'user', OLD.id);
        RETURN NULL;
    END IF;
    INSERT INTO search_queue (later, kind, ref) VALUES (false, 'user', NEW.id);
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO search_queue (later, kind, ref) VALUES (false, 'photos of user', NEW.id);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- No rows tell what a TRUNCATE took out: the index is built anew, and until then searches find nothing.
CREATE FUNCTION search_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE search_state SET built = false, emptied = emptied + 1;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER photos_search_insert AFTER INSERT ON photos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search_photos_changed();
CREATE TRIGGER photos_search_update AFTER UPDATE ON photos REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search_photos_changed();
CREATE TRIGGER photos_search_delete AFTER DELETE ON photos REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION search_photos_changed();
CREATE TRIGGER photos_search_truncate AFTER TRUNCATE ON photos FOR EACH STATEMENT EXECUTE FUNCTION search_truncated();

CREATE TRIGGER photo_tags_search_insert AFTER INSERT ON photo_tags REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search_members_changed();
CREATE TRIGGER photo_tags_search_update AFTER UPDATE ON photo_tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search_members_changed();
CREATE TRIGGER photo_tags_search_delete AFTER DELETE ON photo_tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION search_members_changed();

CREATE TRIGGER album_photos_search_insert AFTER INSERT ON album_photos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search_members_changed();
CREATE TRIGGER album_photos_search_update AFTER UPDATE ON album_photos REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION search_members_changed();
CREATE TRIGGER album_photos_search_delete AFTER DELETE ON album_photos REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION search_members_changed();

CREATE TRIGGER albums_search AFTER UPDATE OF title ON albums FOR EACH ROW WHEN (NEW.title <> OLD.title) EXECUTE FUNCTION search_album_renamed();

CREATE TRIGGER users_search_insert AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION search_user_changed();
CREATE TRIGGER users_search_update AFTER UPDATE OF name, display_name ON users FOR EACH ROW
    WHEN (NEW.name <> OLD.name OR NEW.display_name <> OLD.display_name) EXECUTE FUNCTION search_user_changed();
CREATE TRIGGER users_search_delete AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION search_user_changed();
CREATE TRIGGER users_search_truncate AFTER TRUNCATE ON users FOR EACH STATEMENT EXECUTE FUNCTION search_truncated();
CREATE TRIGGER photo_tags_search_truncate AFTER TRUNCATE ON photo_tags
    FOR EACH STATEMENT EXECUTE FUNCTION search_truncated();
CREATE TRIGGER tags_search_truncate AFTER TRUNCATE ON tags
    FOR EACH STATEMENT EXECUTE FUNCTION search_truncated();
CREATE TRIGGER albums_search_truncate AFTER TRUNCATE ON albums
    FOR EACH STATEMENT EXECUTE FUNCTION search_truncated();
CREATE TRIGGER album_photos_search_truncate AFTER TRUNCATE ON album_photos
    FOR EACH STATEMENT EXECUTE FUNCTION search_truncated();
