-- +goose Up

-- A private album is shown to its owner alone: its page is not found, and no list has it. Its photos, and albums in it,
-- keep their own visibility. An unlisted one is private with a link, as in 027.
ALTER TABLE albums ADD COLUMN private boolean NOT NULL DEFAULT false;

-- Those that everybody may see.
CREATE VIEW shown_albums AS SELECT a.* FROM albums a WHERE NOT a.private;

-- +goose StatementBegin
-- As in 022, of albums in it that everybody may see.
CREATE OR REPLACE FUNCTION album_cover(its_album bigint, chosen bigint) RETURNS SETOF photos LANGUAGE sql STABLE AS $$
    SELECT c.* FROM photos c WHERE c.id = coalesce(
        (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
            WHERE m.album_id = its_album AND m.photo_id = chosen),
        (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
            WHERE m.album_id = its_album ORDER BY m.position LIMIT 1),
        (SELECT coalesce(
                (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
                    WHERE m.album_id = k.id AND m.photo_id = k.cover_photo),
                (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
                    WHERE m.album_id = k.id ORDER BY m.position LIMIT 1))
            FROM shown_albums k JOIN album_counts n ON n.album_id = k.id AND n.photo_count > 0
            WHERE k.parent = its_album ORDER BY k.id LIMIT 1))
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 022, with albums in it that everybody may see.
CREATE OR REPLACE FUNCTION album_size(its_album bigint) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT n.photo_count FROM album_counts n WHERE n.album_id = its_album), 0)
        + coalesce((SELECT sum(n.photo_count) FROM shown_albums k JOIN album_counts n ON n.album_id = k.id
            WHERE k.parent = its_album), 0)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 003, and an album that is hidden vanishes, and appears when it is shown again. What changes in a private one
-- changes nothing that is shown.
CREATE OR REPLACE FUNCTION albums_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off
    AS $$
DECLARE
    r      record;
    raised bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id, array_agg(id) AS appeared FROM new_rows WHERE NOT private GROUP BY user_id
            ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, 0, false);
            PERFORM announce('album.', r.appeared, NULL, raised);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT user_id, array_agg(id) AS gone, array_agg(id) FILTER (WHERE NOT private) AS vanished
            FROM old_rows GROUP BY user_id ORDER BY user_id
        LOOP
            IF r.vanished IS NOT NULL THEN
                raised := touch_owner(r.user_id, 0, true);
                PERFORM announce('album.', NULL, r.vanished, raised);
            ELSE -- the lock that whoever counts albums has
                PERFORM FROM users u WHERE u.id = r.user_id FOR NO KEY UPDATE;
            END IF;
            DELETE FROM album_counts WHERE album_id = ANY (r.gone);
        END LOOP;
    ELSE
        FOR r IN
            WITH changed AS MATERIALIZED (
                SELECT o.id, o.user_id AS old_owner, n.user_id AS new_owner, NOT o.private AS was_shown,
                    NOT n.private AS is_shown
                FROM old_rows o JOIN new_rows n ON n.id = o.id
                WHERE n IS DISTINCT FROM o AND NOT (o.private AND n.private)
            ), sides AS (
                SELECT old_owner AS user_id, was_shown AND (old_owner <> new_owner OR NOT is_shown) AS takes_away,
                    CASE WHEN was_shown AND NOT is_shown THEN id END AS vanished, NULL::bigint AS appeared FROM changed
                UNION ALL
                SELECT new_owner, false, NULL, CASE WHEN is_shown AND NOT was_shown THEN id END FROM changed
            )
            SELECT user_id, bool_or(takes_away) AS takes_away,
                array_agg(appeared) FILTER (WHERE appeared IS NOT NULL) AS appeared,
                array_agg(vanished) FILTER (WHERE vanished IS NOT NULL) AS vanished
            FROM sides GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, 0, r.takes_away);
            PERFORM announce('album.', r.appeared, r.vanished, raised);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Photos are found by the titles of their albums.
CREATE TRIGGER albums_search_private AFTER UPDATE OF private ON albums FOR EACH ROW
    WHEN (NEW.private <> OLD.private) EXECUTE FUNCTION search_album_renamed();

-- +goose StatementBegin
-- As photo_hidden_ends_link, and also when the album is public again: the link would show private photos of it, also
-- those that become private later.
CREATE FUNCTION album_hidden_ends_link() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM shares s WHERE s.album_id = NEW.id AND s.unlisted;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER albums_hidden_link AFTER UPDATE OF private ON albums FOR EACH ROW
    WHEN (NEW.private <> OLD.private) EXECUTE FUNCTION album_hidden_ends_link();

-- +goose StatementBegin
-- Says who sees an album of a user's own: everybody, its owner, or, with unlist, whoever has its link, too. An album
-- that is unlisted keeps its link. The outcomes are "done" and "not found".
CREATE FUNCTION show_own_album(key text, request bytea, its_user bigint, its_album bigint, hide boolean, unlist boolean,
    its_nonce bytea, its_hash bytea) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result      action_outcome := claim_key(key, request);
    was_hidden  boolean;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF NOT lock_albums(its_user) OR NOT lock_own_album(its_user, its_album) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    SELECT a.private INTO was_hidden FROM albums a WHERE a.id = its_album;
    UPDATE albums a SET private = hide WHERE a.id = its_album AND a.private <> hide;
    IF hide AND unlist THEN
        INSERT INTO shares (user_id, album_id, name, nonce, hash, unlisted)
            VALUES (its_user, its_album, '', its_nonce, its_hash, true)
            ON CONFLICT (album_id) WHERE unlisted AND album_id IS NOT NULL DO NOTHING;
    ELSE
        DELETE FROM shares s WHERE s.album_id = its_album AND s.unlisted;
    END IF;
    result := album_versions(its_user, CASE WHEN was_hidden AND NOT hide THEN its_album END,
        CASE WHEN hide AND NOT was_hidden THEN its_album END);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
