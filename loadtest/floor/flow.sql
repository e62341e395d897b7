\set number random(6000000000, 9999999999)
INSERT INTO floor_codes (phone, digest, expires_at, attempts) VALUES ('+91' || :number, sha256('1234'), now() + interval '10 minutes', 0) ON CONFLICT (phone) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at, attempts = 0;
SELECT digest FROM floor_codes WHERE phone = '+91' || :number;
BEGIN;
UPDATE floor_codes SET attempts = attempts + 1, expires_at = now() WHERE phone = '+91' || :number AND expires_at > now() AND attempts < 3 RETURNING digest;
INSERT INTO floor_accounts (phone) VALUES ('+91' || :number) ON CONFLICT (phone) DO UPDATE SET phone = excluded.phone RETURNING id \gset
INSERT INTO floor_sessions (digest, account_id, expires_at) VALUES (sha256((:number)::text::bytea), :id, now() + interval '30 days') ON CONFLICT DO NOTHING;
COMMIT;
BEGIN;
UPDATE floor_accounts SET name = 'Gaurav Kumar', birth_date = '1995-01-01', gender = 'male', bio = 'Backend Developer', location = 'Delhi, India', pictures = '["https://example.com/pic1.jpg","https://example.com/pic2.jpg"]' WHERE id = :id;
INSERT INTO floor_interests SELECT :id, interest FROM unnest(array[1, 2, 3]) AS interest ON CONFLICT DO NOTHING;
COMMIT;
