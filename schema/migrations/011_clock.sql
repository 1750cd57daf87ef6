-- +goose Up
-- The order of photos does not depend on the clock. Where posted_at is left out of an INSERT, a photo is never refused, whatever the clock
-- did since the photo before it: an hour forward and back made each new photo "lie ahead" for an hour.

-- +goose StatementBegin
-- The time, but not before the photo before it, nor after the one after it, which there is when an id is used again. Of two transactions
-- that overlap, neither sees the other's photo: their times may be the other way round by what the clock did meanwhile. Listings follow the
-- ids, so no page shows that.
CREATE OR REPLACE FUNCTION stamp_photo() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    NEW.posted_at := least(
        greatest(clock_timestamp(), (SELECT p.posted_at FROM photos p WHERE p.id < NEW.id ORDER BY p.id DESC LIMIT 1)),
        (SELECT p.posted_at FROM photos p WHERE p.id > NEW.id ORDER BY p.id LIMIT 1));
    RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Refuses a posted_at that a writer gave and that does not follow the order of ids, or lies ahead of both the clock and the photo before
-- it. Transactions that overlap may take their ids and their times in different orders: 10 seconds are forgiven.
CREATE FUNCTION check_posted_at() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    before timestamptz := (SELECT p.posted_at FROM photos p WHERE p.id < NEW.id ORDER BY p.id DESC LIMIT 1);
    after  timestamptz := (SELECT p.posted_at FROM photos p WHERE p.id > NEW.id ORDER BY p.id LIMIT 1);
BEGIN
    IF NEW.posted_at > greatest(clock_timestamp() + interval '1 minute', before)
        OR NEW.posted_at < before - interval '10 seconds' OR NEW.posted_at > after + interval '10 seconds'
    THEN
        RAISE EXCEPTION 'posted_at of photos does not follow the order of ids, or lies ahead' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_posted BEFORE INSERT ON photos FOR EACH ROW WHEN (NEW.posted_at IS NOT NULL) EXECUTE FUNCTION check_posted_at();

-- +goose StatementBegin
-- As in 003, without the check of posted_at.
CREATE OR REPLACE FUNCTION photos_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
    r      record;
    raised bigint;
    albums bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id, count(*) AS more_photos, array_agg(id) AS appeared
            FROM new_rows WHERE NOT private GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, r.more_photos, false);
            PERFORM announce('photo.', r.appeared, NULL, raised);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT user_id, count(*) AS fewer_photos, array_agg(id) AS vanished
            FROM old_rows WHERE NOT private GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, -r.fewer_photos, true);
            PERFORM announce('photo.', NULL, r.vanished, raised);
        END LOOP;
    ELSE
        FOR r IN
            WITH changed AS MATERIALIZED (
                SELECT o.id, o.user_id AS old_owner, n.user_id AS new_owner, NOT o.private AS was_public, NOT n.private AS is_public,
                    o.image_id <> n.image_id AS replaced
                FROM old_rows o JOIN new_rows n ON n.id = o.id
                WHERE n IS DISTINCT FROM o AND NOT (o.private AND n.private)
            ), sides AS (
                SELECT old_owner AS user_id, -was_public::integer AS delta, was_public AND (replaced OR NOT is_public OR old_owner <> new_owner) AS takes_away,
                    CASE WHEN was_public AND NOT is_public THEN id END AS vanished, NULL::bigint AS appeared FROM changed
                UNION ALL
                SELECT new_owner, is_public::integer, false, NULL, CASE WHEN is_public AND NOT was_public THEN id END FROM changed
            )
            SELECT user_id, sum(delta) AS more_photos, bool_or(takes_away) AS takes_away,
                array_agg(appeared) FILTER (WHERE appeared IS NOT NULL) AS appeared,
                array_agg(vanished) FILTER (WHERE vanished IS NOT NULL) AS vanished
            FROM sides GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, r.more_photos, r.takes_away);
            PERFORM announce('photo.', r.appeared, r.vanished, raised);
            IF r.appeared IS NOT NULL OR r.vanished IS NOT NULL THEN
                albums := ARRAY(SELECT DISTINCT ap.album_id FROM album_photos ap WHERE ap.photo_id = ANY (r.appeared || r.vanished));
                IF albums <> '{}' THEN
                    PERFORM recount_albums(albums);
                END IF;
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
