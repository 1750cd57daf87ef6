-- +goose Up

-- An unlisted photo is a private one with a link that has no password and no end, which its owner is shown beside the
-- choice. So whatever hides private photos hides it, and its link is listed and revoked as any other.
ALTER TABLE shares ADD COLUMN unlisted boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT unlisted OR password IS NULL AND expires_at IS NULL);
CREATE UNIQUE INDEX shares_unlisted_photo ON shares (photo_id) WHERE unlisted AND photo_id IS NOT NULL;
CREATE UNIQUE INDEX shares_unlisted_album ON shares (album_id) WHERE unlisted AND album_id IS NOT NULL;
CREATE INDEX shares_named ON shares (user_id) WHERE NOT unlisted; -- those that count

-- +goose StatementBegin
-- A public photo keeps the link that it had, so that who has it finds the photo. Once it is hidden the link shows
-- nothing: whoever hides it, by whatever program, means everybody.
CREATE FUNCTION photo_hidden_ends_link() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM shares s WHERE s.photo_id = NEW.id AND s.unlisted;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_hidden_link AFTER UPDATE OF private ON photos FOR EACH ROW
    WHEN (NEW.private AND NOT OLD.private) EXECUTE FUNCTION photo_hidden_ends_link();

-- +goose StatementBegin
-- Makes private photos of a user's own unlisted, or ends that, for a caller who has done the action of a key in the same
-- statement. A repetition of that action changes nothing: somebody may have chosen otherwise since. nonces and hashes
-- are those of new links, one for each id; a photo that is unlisted keeps its link.
CREATE FUNCTION set_unlisted(its_key text, its_user bigint, ids bigint[], unlist boolean, nonces bytea[],
    hashes bytea[]) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    -- remember_key has written the row in this transaction, or there is none of it.
    IF NOT EXISTS (SELECT FROM action_keys k WHERE k.key = its_key AND k.xmin = pg_current_xact_id()::xid) THEN
        RETURN;
    END IF;
    IF unlist THEN
        INSERT INTO shares (user_id, photo_id, name, nonce, hash, unlisted)
            SELECT its_user, p.id, '', n.nonce, n.hash, true FROM unnest(ids, nonces, hashes) AS n (id, nonce, hash)
                JOIN photos p ON p.id = n.id AND p.user_id = its_user AND p.private AND p.binned_at IS NULL
            ORDER BY p.id
            ON CONFLICT (photo_id) WHERE unlisted AND photo_id IS NOT NULL DO NOTHING;
    ELSE
        DELETE FROM shares s WHERE s.photo_id = ANY (ids) AND s.user_id = its_user AND s.unlisted;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 024, and links of what is unlisted do not count.
CREATE OR REPLACE FUNCTION make_share(key text, request bytea, its_user bigint, its_photo bigint, its_album bigint, its_name text,
    its_password text, days integer, its_nonce bytea, its_hash bytea, most integer)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF its_photo IS NOT NULL AND lock_own(its_user, ARRAY[its_photo], false) = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF its_album IS NOT NULL THEN
        PERFORM FROM albums a WHERE a.id = its_album AND a.user_id = its_user FOR KEY SHARE;
        IF NOT FOUND THEN
            result.outcome := 'not found';
            RETURN result;
        END IF;
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM shares s WHERE s.user_id = its_user AND NOT s.unlisted LIMIT most) AS counted) = most THEN
        result.outcome := 'too many';
        RETURN result;
    END IF;
    INSERT INTO shares (user_id, photo_id, album_id, name, password, expires_at, nonce, hash)
        VALUES (its_user, its_photo, its_album, its_name, its_password, clock_timestamp() + make_interval(days => days),
            its_nonce, its_hash);
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
