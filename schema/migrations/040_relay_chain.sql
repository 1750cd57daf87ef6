-- +goose Up

-- Relays link their messages: each batch of changes names the one before it, so that whoever hears them knows what they
-- missed, whichever renderer relays. This row is the chain's end: the last batch whose changes have left the outbox.
-- The relay that holds the lock is the only one that changes it.
CREATE TABLE relay_last (
    message  text    NOT NULL DEFAULT gen_random_uuid()::text,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO relay_last DEFAULT VALUES;

-- Batches of the last seconds, which heartbeats repeat for edges that missed one. Without them, as after a crash, these
-- edges read the stream.
CREATE UNLOGGED TABLE relayed (
    n        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message  text        NOT NULL,
    after    text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    scopes   text[]      NOT NULL,
    versions bigint[]    NOT NULL,
    gone     boolean[]   NOT NULL
);

-- Changes that edges were told, and that the stream has not stored yet. The relay sends them again when it takes
-- messages.
CREATE TABLE unstored (
    scope   text    PRIMARY KEY,
    version bigint  NOT NULL,
    gone    boolean NOT NULL
);
