\set number random(6000000000, 9999999999)
INSERT INTO floor_codes (phone, digest, expires_at, attempts) VALUES ('+91' || :number, sha256('1234'), now() + interval '10 minutes', 0) ON CONFLICT (phone) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at, attempts = 0;
