-- +goose Up

-- What tells how far a replica has come, and whether the primary is another than before.
--
-- at: everything that was committed before is in each snapshot that shows this row. Renderers that read replicas write
-- it on the primary, some times a second. What is read from a replica says that it was read then: the replica's own
-- clock does not tell what the replica has not replayed yet.
--
-- timeline: the one whose changes have been announced. A standby that is promoted begins another, and may have lost
-- changes whose versions edges know.
CREATE TABLE heartbeat (
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    timeline  text        NOT NULL DEFAULT left(pg_walfile_name(pg_current_wal_lsn()), 8),
    only_row  boolean     PRIMARY KEY DEFAULT true CHECK (only_row)
) WITH (fillfactor = 10);
INSERT INTO heartbeat DEFAULT VALUES;

-- +goose StatementBegin
-- Renderers call it on each connection before they use it. After a failover the first call announces that everything
-- may have changed, and the others wait for it. Versions of lost changes are not given out again: those that follow
-- begin a million after the clock, and after the last one that this server has seen. So they come after what it may
-- lack. It is not more, so that a dump restored into a new server is soon ahead of these: its versions begin at the
-- clock. Returns whether this is a standby, a primary that is known, or one that was new.
CREATE FUNCTION adopt_timeline() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    its_timeline text;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 'standby';
    END IF;
    its_timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
    IF EXISTS (SELECT FROM heartbeat WHERE timeline = its_timeline) THEN
        RETURN 'known';
    END IF;
    PERFORM FROM heartbeat WHERE timeline <> its_timeline FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'known'; -- by a call that this one has waited for
    END IF;
    -- It waits for no standby, of which a new primary may have none yet: meanwhile nothing could be read. One that is
    -- promoted without this announces by itself.
    PERFORM set_config('synchronous_commit', 'local', true);
    PERFORM setval('versions', 1000000 + greatest((SELECT last_value FROM versions),
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint));
    PERFORM announce_all();
    UPDATE heartbeat SET timeline = its_timeline, at = clock_timestamp();
    RAISE LOG 'timeline % is new: announced that everything may have changed', its_timeline;
    RETURN 'new';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 006. It locks the row of a key that is known, which writes to the log: so a repetition, too, waits until standbys
-- have what was done. The first attempt may have been given up while it waited for them, and is then seen although they
-- lack it.
CREATE OR REPLACE FUNCTION claim_key(wanted text, its_request bytea) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    known   record;
    result  action_outcome;
BEGIN
    PERFORM pg_advisory_xact_lock(0, hashtext(wanted));
    SELECT k.request, k.scopes, k.versions, k.gone INTO known FROM action_keys k WHERE k.key = wanted FOR NO KEY UPDATE;
    IF known.request <> its_request THEN
        result.outcome := 'conflict';
    ELSIF FOUND THEN
        result := ROW ('done'::text, known.scopes, known.versions, known.gone);
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd
