-- +goose Up

-- Which site this database belongs to. Renderers write the id into the stream CHANGES, and one whose database has
-- another id does not join that bus. A copy of a database that becomes a site of its own needs an id of its own:
-- UPDATE site SET id = gen_random_uuid().
CREATE TABLE site (
    id       uuid    NOT NULL DEFAULT gen_random_uuid(),
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO site DEFAULT VALUES;
