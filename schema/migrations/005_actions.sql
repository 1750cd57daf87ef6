-- +goose Up
-- What was done under which key. An action that is asked for again, because its reply was lost or its renderer frozen, finds here that it
-- was done and what it changed.

-- A row is made before the change and completed after it, in the change's own transaction: whoever sees a key sees its result, and whoever
-- brings the same key at the same time waits. Key comes before everything else in the order of locks (003): nobody who holds another lock
-- waits for one.
CREATE TABLE action_keys (
    key       text COLLATE "C" PRIMARY KEY CHECK (key ~ '^[!-~]{1,64}$'),
    request   bytea       NOT NULL CHECK (octet_length(request) = 32), -- SHA-256 of the action's name and arguments
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    scopes    text[]      NOT NULL DEFAULT '{}', -- the changes, one in each place of these three
    versions  bigint[]    NOT NULL DEFAULT '{}',
    gone      boolean[]   NOT NULL DEFAULT '{}',
    CHECK (cardinality(scopes) = cardinality(versions) AND cardinality(scopes) = cardinality(gone))
) WITH (fillfactor = 50, -- the result is added in place
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX action_keys_at ON action_keys (at); -- what is too old to be asked for again is deleted by it

-- A key without a result would make each repetition believe that nothing changed.
-- +goose StatementBegin
CREATE FUNCTION action_has_result() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM action_keys WHERE key = NEW.key AND scopes = '{}') THEN
        RAISE EXCEPTION 'the key % is committed without a result', NEW.key USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER action_keys_result AFTER INSERT ON action_keys DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION action_has_result();

-- The first number was taken from the sequence of versions by the transaction that made it (001). With wal_level=minimal such a transaction
-- is not logged, though the sequence then holds that its next 32 numbers are: after a crash it began again below versions that were given
-- out, and that caches and writers had seen. This takes it past them, into numbers that are in the log.
SELECT count(nextval('versions')) FROM generate_series(1, 33);
