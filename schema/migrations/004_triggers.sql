-- +goose Up
-- Ties the functions of 003 to the tables.

CREATE TRIGGER photos_insert AFTER INSERT ON photos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION photos_changed();
CREATE TRIGGER photos_update AFTER UPDATE ON photos REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION photos_changed();
CREATE TRIGGER photos_delete AFTER DELETE ON photos REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION photos_changed();

CREATE TRIGGER albums_insert AFTER INSERT ON albums REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION albums_changed();
CREATE TRIGGER albums_update AFTER UPDATE ON albums REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION albums_changed();
CREATE TRIGGER albums_delete AFTER DELETE ON albums REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION albums_changed();

CREATE TRIGGER album_photos_insert AFTER INSERT ON album_photos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION album_photos_changed();
CREATE TRIGGER album_photos_update AFTER UPDATE ON album_photos REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION album_photos_changed();
CREATE TRIGGER album_photos_delete AFTER DELETE ON album_photos REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION album_photos_changed();

CREATE TRIGGER photo_tags_insert AFTER INSERT ON photo_tags REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_changed();
CREATE TRIGGER photo_tags_update AFTER UPDATE ON photo_tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_changed();
CREATE TRIGGER photo_tags_delete AFTER DELETE ON photo_tags REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_changed();

CREATE TRIGGER users_insert AFTER INSERT ON users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_changed();
-- Triggers update users themselves, at a depth of 1 or more: those updates are announced where they are made.
CREATE TRIGGER users_update AFTER UPDATE ON users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION users_changed();
CREATE TRIGGER users_delete AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION users_changed();

CREATE TRIGGER users_truncate AFTER TRUNCATE ON users FOR EACH STATEMENT EXECUTE FUNCTION truncated();
CREATE TRIGGER images_truncate AFTER TRUNCATE ON images FOR EACH STATEMENT EXECUTE FUNCTION truncated();
CREATE TRIGGER photos_truncate AFTER TRUNCATE ON photos FOR EACH STATEMENT EXECUTE FUNCTION truncated();
CREATE TRIGGER tags_truncate AFTER TRUNCATE ON tags FOR EACH STATEMENT EXECUTE FUNCTION truncated();
CREATE TRIGGER photo_tags_truncate AFTER TRUNCATE ON photo_tags FOR EACH STATEMENT EXECUTE FUNCTION truncated();
CREATE TRIGGER albums_truncate AFTER TRUNCATE ON albums FOR EACH STATEMENT EXECUTE FUNCTION truncated();
CREATE TRIGGER album_photos_truncate AFTER TRUNCATE ON album_photos FOR EACH STATEMENT EXECUTE FUNCTION truncated();

CREATE TRIGGER photos_stamp BEFORE INSERT ON photos FOR EACH ROW WHEN (NEW.posted_at IS NULL) EXECUTE FUNCTION stamp_photo();
CREATE TRIGGER photos_order AFTER UPDATE OF id, posted_at ON photos FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.posted_at <> OLD.posted_at) EXECUTE FUNCTION never_changes('id or posted_at');
CREATE TRIGGER users_id AFTER UPDATE OF id ON users FOR EACH ROW WHEN (NEW.id <> OLD.id) EXECUTE FUNCTION never_changes('id');
CREATE TRIGGER albums_id AFTER UPDATE OF id ON albums FOR EACH ROW WHEN (NEW.id <> OLD.id) EXECUTE FUNCTION never_changes('id');
CREATE TRIGGER tags_name AFTER UPDATE OF id, name ON tags FOR EACH ROW WHEN (NEW.id <> OLD.id OR NEW.name <> OLD.name) EXECUTE FUNCTION never_changes('id or name');
