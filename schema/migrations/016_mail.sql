-- +goose Up

-- Links that were mailed. Each does one thing once, for as long as the password holds that held then. What a link has in
-- it is 256 random bits, of which the SHA-256 is stored.
CREATE TABLE mail_links (
    token        bytea       PRIMARY KEY CHECK (octet_length(token) = 32),
    user_id      bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    purpose      text        NOT NULL CHECK (purpose IN ('password', 'email')),
    email        text        NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254), -- where it was mailed to
    attempt      text        NOT NULL UNIQUE, -- the key of the form that asked for it: a repetition mails nothing
    password_at  timestamptz NOT NULL, -- when the password was set that held then
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz -- NULL: not yet
);
CREATE INDEX mail_links_user ON mail_links (user_id, purpose, expires_at);
CREATE INDEX mail_links_email ON mail_links (email, purpose, expires_at);
CREATE INDEX mail_links_expires_at ON mail_links (expires_at);

-- The functions below follow the rules of 006. "not found": there is no such link, or it counts no more.

-- +goose StatementBegin
-- Has everything that concerns an address wait for each other, until the transaction ends. It comes before the locks of
-- accounts.
CREATE FUNCTION lock_email(its_email text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(its_email, 0));
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes a link that is valid for half an hour, and returns whether it did: not for a repetition, for a closed account,
-- if the password was set anew since the account was read, or if the account or the address has as many valid links as
-- are allowed. It forgets some links that have expired.
CREATE FUNCTION make_link(its_token bytea, its_user bigint, its_password_at timestamptz, its_purpose text,
    its_email text, its_attempt text, most int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM mail_links WHERE token = ANY (ARRAY(
        SELECT l.token FROM mail_links l WHERE l.expires_at < clock_timestamp() - interval '1 hour'
            ORDER BY l.expires_at LIMIT 100 FOR UPDATE SKIP LOCKED));
    PERFORM lock_email(its_email); -- so that two at once count each other's
    PERFORM FROM accounts a WHERE a.user_id = its_user FOR NO KEY UPDATE; -- likewise
    INSERT INTO mail_links (token, user_id, purpose, email, attempt, password_at, expires_at)
        SELECT its_token, its_user, its_purpose, its_email, its_attempt, its_password_at,
            clock_timestamp() + interval '30 minutes'
        FROM accounts a WHERE a.user_id = its_user AND a.disabled_at IS NULL AND a.password_at = its_password_at
            AND (SELECT count(*) FROM mail_links l WHERE l.user_id = its_user AND l.purpose = its_purpose
                AND l.expires_at > clock_timestamp()) < most
            AND (SELECT count(*) FROM mail_links l WHERE l.email = its_email AND l.purpose = its_purpose
                AND l.expires_at > clock_timestamp()) < most
        ON CONFLICT (attempt) DO NOTHING;
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Uses up a link and returns its user; NULL if it counts no more. The account is locked first, as all actions do.
CREATE FUNCTION use_link(its_token bytea, its_purpose text, OUT owner bigint, OUT its_email text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM accounts a WHERE a.user_id = (SELECT l.user_id FROM mail_links l WHERE l.token = its_token)
        FOR NO KEY UPDATE;
    UPDATE mail_links l SET used_at = clock_timestamp() FROM accounts a
        WHERE l.token = its_token AND l.purpose = its_purpose AND l.used_at IS NULL
            AND l.expires_at > clock_timestamp() AND a.user_id = l.user_id AND a.disabled_at IS NULL
            AND a.password_at = l.password_at
        RETURNING l.user_id, l.email INTO owner, its_email;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Sets a password by a link. All other links of the user count no more, as they were made under another password.
CREATE FUNCTION reset_password(key text, request bytea, its_token bytea, new_password text)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    used    record;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT * INTO used FROM use_link(its_token, 'password');
    IF used.owner IS NULL THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    UPDATE accounts a SET password = new_password, password_at = clock_timestamp() WHERE a.user_id = used.owner;
    result := user_version(used.owner);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Gives a user the address that a link of theirs was mailed to. Another account that had it loses it: who reads the
-- mails has confirmed that they belong to this one.
CREATE FUNCTION confirm_email(key text, request bytea, its_user bigint, its_token bytea)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result   action_outcome := claim_key(key, request);
    address  text;
    used     record;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT l.email INTO address FROM mail_links l WHERE l.token = its_token AND l.user_id = its_user;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    PERFORM lock_email(address);
    PERFORM FROM accounts a WHERE a.user_id = its_user OR a.email = address ORDER BY a.user_id FOR NO KEY UPDATE;
    SELECT * INTO used FROM use_link(its_token, 'email');
    IF used.owner IS NULL THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    UPDATE accounts a SET email = NULL WHERE a.email = used.its_email AND a.user_id <> used.owner;
    UPDATE accounts a SET email = used.its_email WHERE a.user_id = used.owner;
    result := user_version(used.owner);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Takes the address from a user.
CREATE FUNCTION remove_email(key text, request bytea, its_user bigint) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE accounts a SET email = NULL WHERE a.user_id = its_user;
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
-- As in 013, and the address goes: who has to use a code does not know who has set it.
CREATE OR REPLACE FUNCTION recover_account(key text, request bytea, its_user bigint, its_code bytea, new_password text)
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
    UPDATE accounts a SET password = new_password, password_at = clock_timestamp(), email = NULL
        WHERE a.user_id = its_user AND a.disabled_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account of user % is closed', its_user USING ERRCODE = 'check_violation';
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
