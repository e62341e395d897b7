-- The other 40 people: what the original let in.
INSERT INTO auth_user (id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined) VALUES
-- one subscriber with two accounts: the missing plus
(961, 'x', '2026-05-02 10:00:00+00', false, '919876100001', '', '', '', false, true, '2026-02-01 10:00:00+00'),
(962, 'x', '2026-05-01 10:00:00+00', false, '+919876100001', '', '', '', false, true, '2026-01-01 10:00:00+00'),
-- digits of Devanagari, 15 digits, a missing plus
(963, 'x', NULL, false, '+९१९८७६१००००३', '', '', '', false, true, '2026-01-01 10:00:00+00'),
(964, 'x', NULL, false, '491512345678901', '', '', '', false, true, '2026-01-01 10:00:00+00'),
(965, 'x', NULL, false, '+919876100005', 'Ravi', 'Kumar', 'Ravi@Example.com', false, true, '2026-01-01 10:00:00+00'),
(966, 'x', NULL, false, '919876100006', '', '', 'ravi@example.com', false, true, '2026-01-01 10:00:00+00'),
-- deactivated: the user, the profile
(967, 'x', NULL, false, '+919876100007', '', '', '', false, false, '2026-01-01 10:00:00+00'),
(968, 'x', NULL, false, '+919876100008', '', '', '', false, true, '2026-01-01 10:00:00+00'),
-- staff; an admin; staff whose password is the phone; staff without a password
(969, 'pbkdf2_sha256$1000000$seasalt1234567890abcdef$Np+u+rMHZ5ZRhDWJarzHB9zRV4w32c1WRPCMYFY4dOw=', NULL, false, 'desk', 'Una', '', 'desk@example.com', true, true, '2026-01-01 10:00:00+00'),
(970, 'pbkdf2_sha256$1000000$seasalt1234567890abcdef$Np+u+rMHZ5ZRhDWJarzHB9zRV4w32c1WRPCMYFY4dOw=', NULL, true, 'boss', '', '', '', true, true, '2026-01-01 10:00:00+00'),
(971, 'pbkdf2_sha256$1000000$ZuvwDv0db3aG8XNz8Hrjfm$Ctdc4mUFgRr5O42e2uozAyLksBCe54kHAKudNPyymKQ=', NULL, false, '+919812345678', '', '', '', true, true, '2026-01-01 10:00:00+00'),
(972, '!unusable', NULL, false, 'nobody', '', '', '', true, true, '2026-01-01 10:00:00+00'),
-- empty texts; no profile; an interest that is not there; a birth date and a gender that are not taken
(973, 'x', NULL, false, '+919876100013', '', '', '', false, true, '2026-01-01 10:00:00+00'),
(974, 'x', NULL, false, '+919876100014', '', '', '', false, true, '2026-01-01 10:00:00+00'),
(975, 'x', NULL, false, '+919876100015', '', '', '', false, true, '2026-01-01 10:00:00+00'),
(976, 'x', NULL, false, '+919876100016', '', '', '', false, true, '2026-01-01 10:00:00+00'),
-- a phone that was never proved; no phone at all; a fixed line
(977, 'x', NULL, false, 'webuser', '', '', '', false, true, '2026-01-01 10:00:00+00'),
(978, 'x', NULL, false, 'emailonly', '', '', 'only@example.com', false, true, '2026-01-01 10:00:00+00'),
(979, 'x', NULL, false, '+912222345678', '', '', '', false, true, '2026-01-01 10:00:00+00');
INSERT INTO auth_user (id, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
WITH RECURSIVE n(i) AS (SELECT 980 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
SELECT i, 'x', NULL, false, '+91987' || CAST(6000000 + i AS text), '', '', '', false, true, '2025-10-06 11:20:00+00' FROM n;
INSERT INTO users_userprofile (id, user_id, bio, location, birth_date, phone_number, created_at, updated_at, is_active, is_verified, name, gender, profile_pictures) VALUES
(5961, 961, '', '', NULL, '919876100001', '2026-02-01 10:00:00+00', '2026-02-01 10:00:00+00', true, true, '', '', '[]'),
(5962, 962, 'From Goa', 'Goa', '1990-01-01', '+919876100001', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', true, true, 'Meera Rao', 'female', '["https://cdn.example.com/m.jpg"]'),
(5965, 965, 'one
two', '', '1990-01-01', '+919876100005', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', true, true, 'Ravi
Kumar', 'male', '[]'),
(5968, 968, '', '', NULL, '+919876100008', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', false, true, '', '', '[]'),
(5973, 973, '', '', NULL, '', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', true, true, '', '', '[]'),
(5975, 975, '', '', NULL, '+919876100015', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', true, true, 'Tara Sen', '', '[]'),
(5976, 976, '', '', '0001-01-01', '+919876100016', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', true, true, 'Ila Sen', 'unsaid', '["http://localhost:1/a b"]'),
(5977, 977, '', '', NULL, '+919876100017', '2026-01-01 10:00:00+00', '2026-01-01 10:00:00+00', true, false, 'Web User', '', '[]');
INSERT INTO users_userprofile_event_interests (userprofile_id, eventinterest_id) VALUES (5975, 1), (5975, 4711);
-- a lead; the phone of a user in another spelling; what is no phone
INSERT INTO users_phoneotp (id, phone_number, otp_code, is_verified, created_at, expires_at, attempts) VALUES
(1, '+919876200001', '1234', false, '2026-03-01 10:00:00+00', '2026-03-01 10:10:00+00', 0),
(2, '+919876000001', '1234', true, '2026-03-01 10:00:00+00', '2026-03-01 10:10:00+00', 0),
(3, '919876000002', '1234', false, '2026-03-01 10:00:00+00', '2026-03-01 10:10:00+00', 0),
(4, '12345', '1234', false, '2026-03-01 10:00:00+00', '2026-03-01 10:10:00+00', 0);
