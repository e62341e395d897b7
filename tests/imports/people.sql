-- 960 ordinary people, with two interests each.
INSERT INTO auth_user (id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 960)
SELECT i, 'pbkdf2_sha256$1000000$x$y', NULL, false, '+91987' || CAST(6000000 + i AS text), '', '', '', false, true, '2025-10-06 11:20:00+00' FROM n;
INSERT INTO users_userprofile (id, user_id, bio, location, birth_date, phone_number, created_at, updated_at, is_active, is_verified, name, gender, profile_pictures)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 960)
SELECT 5000 + i, i, 'Hi', 'Pune', '1995-05-05', '+91987' || CAST(6000000 + i AS text), '2025-10-06 11:20:00+00', '2025-10-06 11:20:00+00', true, true,
'Asha Rao', 'female', '["https://cdn.example.com/a.jpg", "https://cdn.example.com/b.jpg"]' FROM n;
INSERT INTO users_eventinterest (id, name, description, is_active, created_at, updated_at) VALUES
(1, 'Chess Club', 'Boards', true, '2025-10-06 11:20:00+00', '2025-10-06 11:20:00+00'),
(2, 'music & concerts', '', true, '2025-10-06 11:20:00+00', '2025-10-06 11:20:00+00'),
(3, 'Bowling', '', false, '2025-10-06 11:20:00+00', '2025-10-06 11:20:00+00');
INSERT INTO users_userprofile_event_interests (userprofile_id, eventinterest_id) SELECT id, 1 FROM users_userprofile;
INSERT INTO users_userprofile_event_interests (userprofile_id, eventinterest_id) SELECT id, 2 FROM users_userprofile;
