-- A thousand signed-in users.
INSERT INTO floor_accounts (phone, name) SELECT '+1903' || number, 'Gaurav Kumar' FROM generate_series(1, 1000) AS number;
INSERT INTO floor_sessions
    SELECT sha256(number::text::bytea), number, now() + interval '7 days' FROM generate_series(1, 1000) AS number;
VACUUM ANALYZE floor_accounts;
VACUUM ANALYZE floor_sessions;
