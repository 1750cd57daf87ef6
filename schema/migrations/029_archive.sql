-- +goose NO TRANSACTION
-- +goose Up

-- A person's own photos by the time that they were taken, or posted where that is unknown: lists of them, and how many
-- there are of each month, which the two columns beside the key answer without a look at the rows. Nobody waits while
-- it is made, and so it waits as long as it must for transactions that have begun before. Each statement here may be
-- repeated: an invalid index that a killed run has left is made anew.
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS photos_archive;
CREATE INDEX CONCURRENTLY photos_archive ON photos (user_id, (coalesce(taken_at, posted_at)), id) INCLUDE (taken_at, posted_at)
    WHERE binned_at IS NULL;
RESET lock_timeout;

-- The function below follows the rules of 006 and 018.

-- +goose StatementBegin
-- Puts photos of a user's own into the bin ("bin"), or takes those in the bin back ("restore"), or deletes them for good
-- ("remove"; "empty": as many as most at once of those that were there at the time seen, the newest first). Each is one
-- statement on photos, so that the owner gets one version. Photos that are none of theirs are left out; "not found": all
-- are, or there is no such user. The scopes name all photos that were put there or taken back.
CREATE OR REPLACE FUNCTION change_bin(key text, request bytea, its_user bigint, ids bigint[], what text, seen timestamptz,
    most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
    shown   bigint[] := '{}';
    hidden  bigint[] := '{}';
    others  bigint[] := '{}'; -- nobody but their owner sees them, before and after
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF what = 'empty' THEN
        ids := ARRAY(SELECT p.id FROM photos p
            WHERE p.user_id = its_user AND p.binned_at IS NOT NULL AND p.binned_at <= seen
            ORDER BY p.binned_at DESC, p.id DESC LIMIT most);
    END IF;
    mine := lock_own(its_user, ids, what <> 'bin');
    IF mine = '{}' AND (what <> 'empty' OR NOT EXISTS (SELECT FROM shown_users u WHERE u.id = its_user)) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    CASE what
        WHEN 'bin' THEN
            hidden := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private ORDER BY p.id);
            others := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND p.private ORDER BY p.id);
            UPDATE photos p SET private = true, private_before = p.private, binned_at = statement_timestamp()
                WHERE p.id = ANY (mine);
        WHEN 'restore' THEN
            shown := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private_before ORDER BY p.id);
            others := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND p.private_before ORDER BY p.id);
            UPDATE photos p SET private = p.private_before, private_before = NULL, binned_at = NULL
                WHERE p.id = ANY (mine);
        WHEN 'remove', 'empty' THEN
            DELETE FROM photos p WHERE p.id = ANY (mine);
    END CASE;
    result := own_versions(its_user, shown, hidden);
    result.scopes := result.scopes || ARRAY(SELECT 'photo.' || o FROM unnest(others) AS o ORDER BY o);
    result.versions := result.versions || array_fill(result.versions[1], ARRAY[cardinality(others)]);
    result.gone := result.gone || array_fill(false, ARRAY[cardinality(others)]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
