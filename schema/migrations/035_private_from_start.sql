-- +goose Up
-- +goose StatementBegin
-- make_own_album (022), of an album that is private before anybody else can see it. What it returns names it second.
CREATE FUNCTION make_private_album(key text, request bytea, its_user bigint, its_title text, its_description text,
    its_parent text, most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    fresh   boolean := (claim_key(key, request)).outcome IS NULL;
    result  action_outcome := make_own_album(key, request, its_user, its_title, its_description, its_parent, most);
BEGIN
    IF fresh AND result.outcome = 'done' THEN
        UPDATE albums a SET private = true WHERE a.id = substr(result.scopes[2], length('album.') + 1)::bigint;
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd
