-- +goose Up

-- Who can sign in. A user without a row here is a profile that nobody can change. Nothing here is on a page, so nothing
-- here has a version.
CREATE TABLE accounts (
    user_id      bigint      PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    password_at  timestamptz NOT NULL DEFAULT clock_timestamp(), -- when the password was set
    disabled_at  timestamptz, -- from then on nobody signs in
    email        text        UNIQUE CHECK (char_length(email) BETWEEN 3 AND 254),
    password     text        NOT NULL
        CHECK (password ~ '^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$')
);

-- Codes that were not used yet. Each sets a new password once. It has 80 bits, which follow from the password and the
-- key of the sign-up by argon2id; its SHA-256 is stored.
CREATE TABLE recovery_codes (
    user_id  bigint NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    code     bytea  NOT NULL CHECK (octet_length(code) = 32),
    PRIMARY KEY (user_id, code)
);

-- The functions below follow the rules of 006. Further outcomes: "taken", the name is another user's; "changed", the
-- password is no longer the one that was checked.

-- +goose StatementBegin
-- Says which version a user has, whether the caller has changed the user or not: "done", one scope.
CREATE FUNCTION user_version(of bigint) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    now record;
BEGIN
    SELECT 'user.' || u.name AS scope, u.version INTO now FROM users u WHERE u.id = of;
    RETURN ROW ('done'::text, ARRAY[now.scope], ARRAY[now.version], ARRAY[false]);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION sign_up(key text, request bytea, new_name text, new_password text, codes bytea[])
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    new_id  bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    INSERT INTO users (name, display_name) VALUES (new_name, new_name) ON CONFLICT (name) DO NOTHING
        RETURNING id INTO new_id;
    IF NOT FOUND THEN
        result.outcome := 'taken';
        RETURN result;
    END IF;
    INSERT INTO accounts (user_id, password) VALUES (new_id, new_password);
    INSERT INTO recovery_codes (user_id, code) SELECT new_id, c FROM unnest(codes) AS c;
    result := user_version(new_id);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Replaces the password that the caller has checked.
CREATE FUNCTION set_password(key text, request bytea, its_user bigint, old_password text, new_password text)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE accounts a SET password = new_password, password_at = clock_timestamp()
        WHERE a.user_id = its_user AND a.password = old_password AND a.disabled_at IS NULL;
    IF NOT FOUND THEN
        result.outcome := 'changed';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Uses up a recovery code and sets the password; "not found" when there is no such code.
CREATE FUNCTION recover_account(key text, request bytea, its_user bigint, its_code bytea, new_password text)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    DELETE FROM recovery_codes c WHERE c.user_id = its_user AND c.code = its_code;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    UPDATE accounts a SET password = new_password, password_at = clock_timestamp()
        WHERE a.user_id = its_user AND a.disabled_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account of user % is closed', its_user USING ERRCODE = 'check_violation';
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Changes what a user says about themselves; NULL leaves it as it is.
CREATE FUNCTION edit_profile(key text, request bytea, its_user bigint, new_display_name text, new_bio text)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE users u SET display_name = coalesce(new_display_name, u.display_name), bio = coalesce(new_bio, u.bio)
        WHERE u.id = its_user;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
