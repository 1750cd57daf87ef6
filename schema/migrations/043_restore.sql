-- +goose Up

-- A database that was restored from a backup has forgotten what others still know: edges know higher versions, browsers
-- and edges have sessions of users and addresses of pictures that are not in it any more.
--
-- place: the PostgreSQL, and the table in it, that these rows are in. A dump that is restored is in another one.
-- restored_at: sessions that begin now have no earlier password than this. See sessions_from.
ALTER TABLE heartbeat
    ADD COLUMN place       text,
    ADD COLUMN restored_at timestamptz NOT NULL DEFAULT '-infinity';

-- +goose StatementBegin
CREATE FUNCTION this_place() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT system_identifier || '.' || 'heartbeat'::regclass::oid FROM pg_control_system()
$$;
-- +goose StatementEnd

UPDATE heartbeat SET place = this_place();

-- +goose StatementBegin
-- Announces that everything may have changed, for a database that lacks changes which others know. Versions go on a
-- million after least and after the last one that is known here, and numbers of rows so far after the last one here.
-- Otherwise a session of a lost user would be one of the next user, and browsers would show a lost picture as the next
-- photo's.
CREATE FUNCTION outrun(least_version bigint, more_rows integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    numbers regclass;
BEGIN
    PERFORM setval('versions', 1000000 + greatest((SELECT last_value FROM versions), least_version));
    FOREACH numbers IN ARRAY ARRAY[pg_get_serial_sequence('users', 'id')::regclass,
        pg_get_serial_sequence('photos', 'id')::regclass, pg_get_serial_sequence('albums', 'id')::regclass]
    LOOP
        PERFORM setval(numbers, nextval(numbers) + more_rows);
    END LOOP;
    -- These go round.
    PERFORM setval('picture_generations', nextval('picture_generations') % 2000000000 + more_rows);
    PERFORM announce_all();
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says that this database was restored. Renderers find that out by themselves of a dump (pg_restore). Whoever restores
-- the files of a PostgreSQL, or a dump of a release that has no column place, calls it: SELECT after_restore().
--
-- Versions then begin at the clock in microseconds, not in milliseconds. So they are ahead of what failovers since the
-- backup have added, also when it is restored once more. For the same reason the numbers of rows go on 10 further for
-- each second. They begin again after five days, as the sitemap has a part for each 5,000.
CREATE FUNCTION after_restore() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM outrun((extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
        (1000000 + (extract(epoch FROM clock_timestamp()) * 10)::bigint % 4000000)::integer);
    UPDATE heartbeat SET place = this_place(), restored_at = clock_timestamp(), at = clock_timestamp(),
        timeline = left(pg_walfile_name(pg_current_wal_lsn()), 8);
    RAISE LOG 'the database was restored: announced that everything may have changed';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 039, and for a dump that was restored. Of a standby that was promoted few rows can be lost.
CREATE OR REPLACE FUNCTION adopt_timeline() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    its_timeline text;
    its_place    text;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN 'standby';
    END IF;
    its_timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
    IF EXISTS (SELECT FROM heartbeat WHERE timeline = its_timeline AND place = this_place()) THEN
        RETURN 'known';
    END IF;
    SELECT coalesce(place, '') INTO its_place FROM heartbeat
        WHERE timeline <> its_timeline OR place IS DISTINCT FROM this_place() FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'known'; -- by a call that this one has waited for
    END IF;
    -- It waits for no standby, of which a new primary may have none yet: meanwhile nothing could be read. One that is
    -- promoted without this announces by itself.
    PERFORM set_config('synchronous_commit', 'local', true);
    IF its_place <> this_place() THEN
        PERFORM after_restore();
        RETURN 'restored';
    END IF;
    PERFORM outrun((extract(epoch FROM clock_timestamp()) * 1000)::bigint, 10000);
    UPDATE heartbeat SET timeline = its_timeline, at = clock_timestamp();
    RAISE LOG 'timeline % is new: announced that everything may have changed', its_timeline;
    RETURN 'new';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- What counts as the time of a password for sessions that begin now. The bucket of sessions may know a later password
-- than a restored database: its sessions would end as they begin.
CREATE FUNCTION sessions_from(password_at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT greatest(password_at, (SELECT restored_at FROM heartbeat))
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 014; after what counts as the time of the password before.
CREATE OR REPLACE FUNCTION later_password(earlier timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT greatest(clock_timestamp(), sessions_from(earlier) + interval '1 microsecond')
$$;
-- +goose StatementEnd
