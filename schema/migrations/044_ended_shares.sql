-- +goose Up

-- Links that were revoked lately, so that their owner can take that back. Nobody sees anything by one: what shows
-- something reads shares alone. A renderer deletes them after an hour.
CREATE TABLE ended_shares (
    id        bigint PRIMARY KEY, -- that of the link
    user_id   bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    ended_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    link      jsonb       NOT NULL -- its row in shares
);
CREATE INDEX ended_shares_user ON ended_shares (user_id);
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
    WITH gone AS (DELETE FROM shares s WHERE s.id = its_id AND s.user_id = its_user RETURNING s.*)
        INSERT INTO ended_shares (id, user_id, link) SELECT g.id, g.user_id, to_jsonb(g) FROM gone g;
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
-- Brings back a link of a user's own that was revoked less than its_age ago. "not found": there is none, or what it
-- leads to is gone, in the bin, or unlisted by another link; "too many": they have as many links as they may.
CREATE FUNCTION restore_share(key text, request bytea, its_user bigint, its_id bigint, its_age interval, most integer)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    was     shares;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT (jsonb_populate_record(NULL::shares, e.link)).* INTO was FROM ended_shares e
        WHERE e.id = its_id AND e.user_id = its_user AND e.ended_at > clock_timestamp() - its_age;
    IF NOT FOUND OR was.photo_id IS NOT NULL AND lock_own(its_user, ARRAY[was.photo_id], false) = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF was.album_id IS NOT NULL THEN
        PERFORM FROM albums a WHERE a.id = was.album_id AND a.user_id = its_user FOR KEY SHARE;
        IF NOT FOUND THEN
            result.outcome := 'not found';
            RETURN result;
        END IF;
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
