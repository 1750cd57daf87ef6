-- +goose Up

-- Links that were revoked lately, so that their owner can take that back. Nobody sees anything by one: what shows
-- something reads shares alone. A renderer deletes them after an hour. What adds a column to shares deletes these rows
-- in the same migration: they lack it.
CREATE TABLE ended_shares (
    id        bigint PRIMARY KEY, -- that of the link
    user_id   bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    photo_id  bigint, -- as in shares
    album_id  bigint,
    ended_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    link      jsonb       NOT NULL, -- its row in shares
    FOREIGN KEY (photo_id, user_id) REFERENCES photos (id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (album_id, user_id) REFERENCES albums (id, user_id) ON DELETE CASCADE
);
CREATE INDEX ended_shares_user ON ended_shares (user_id);
CREATE INDEX ended_shares_photo ON ended_shares (photo_id, user_id);
CREATE INDEX ended_shares_album ON ended_shares (album_id, user_id);
CREATE INDEX ended_shares_ended ON ended_shares (ended_at);

-- The functions below follow the rules of 006.

-- +goose StatementBegin
-- Revokes a link of a user's own. From the end of this transaction on nobody sees anything by it.
CREATE OR REPLACE FUNCTION end_share(key text, request bytea, its_user bigint, its_id bigint)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    -- In the order of what deletes a photo or an album, and then its links.
    PERFORM FROM shares s JOIN photos p ON p.id = s.photo_id WHERE s.id = its_id AND s.user_id = its_user
        FOR KEY SHARE OF p;
    PERFORM FROM shares s JOIN albums a ON a.id = s.album_id WHERE s.id = its_id AND s.user_id = its_user
        FOR KEY SHARE OF a;
    WITH gone AS (DELETE FROM shares s WHERE s.id = its_id AND s.user_id = its_user RETURNING s.*)
        INSERT INTO ended_shares (id, user_id, photo_id, album_id, link)
            SELECT g.id, g.user_id, g.photo_id, g.album_id, to_jsonb(g) FROM gone g;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Brings back a link of a user's own that was revoked less than its_age ago. "not found": there is none, it has
-- expired, or what it leads to is gone, in the bin, or unlisted by another link; "too many": they have as many links
-- as they may.
CREATE FUNCTION restore_share(key text, request bytea, its_user bigint, its_id bigint, its_age interval, most integer)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result     action_outcome := claim_key(key, request);
    its_photo  bigint;
    its_album  bigint;
    was        shares;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    -- What it leads to is locked first: nobody hides or shows that meanwhile, and the triggers below have deleted the
    -- link if somebody did before.
    SELECT e.photo_id, e.album_id INTO its_photo, its_album FROM ended_shares e
        WHERE e.id = its_id AND e.user_id = its_user;
    IF its_photo IS NOT NULL AND lock_own(its_user, ARRAY[its_photo], false) = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    PERFORM FROM albums a WHERE a.id = its_album AND a.user_id = its_user FOR SHARE;
    SELECT (jsonb_populate_record(NULL::shares, e.link)).* INTO was FROM ended_shares e
        WHERE e.id = its_id AND e.user_id = its_user AND e.ended_at > clock_timestamp() - its_age;
    IF NOT FOUND OR was.expires_at <= clock_timestamp() THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF NOT was.unlisted AND (SELECT count(*) FROM (SELECT FROM shares s WHERE s.user_id = its_user AND NOT s.unlisted
            LIMIT most) AS counted) = most THEN
        result.outcome := 'too many';
        RETURN result;
    END IF;
    INSERT INTO shares OVERRIDING SYSTEM VALUE VALUES (was.*) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    DELETE FROM ended_shares e WHERE e.id = its_id;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 027, and a link that was revoked lately does not come back.
CREATE OR REPLACE FUNCTION photo_hidden_ends_link() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM shares s WHERE s.photo_id = NEW.id AND s.unlisted; -- waits for what revokes one
    DELETE FROM ended_shares e WHERE e.photo_id = NEW.id AND (e.link->'unlisted')::boolean;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 028, and a link that was revoked lately does not come back.
CREATE OR REPLACE FUNCTION album_hidden_ends_link() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM shares s WHERE s.album_id = NEW.id AND s.unlisted;
    DELETE FROM ended_shares e WHERE e.album_id = NEW.id AND (e.link->'unlisted')::boolean;
    RETURN NULL;
END $$;
-- +goose StatementEnd
