\set k :k + 1
\set number :client_id + :k * :clients
WITH used AS (UPDATE floor_codes SET attempts = attempts + 1, expires_at = now() WHERE phone = '+1902' || lpad((:number)::text, 7, '0') AND expires_at > now() AND attempts < 3 RETURNING phone), account AS (INSERT INTO floor_accounts (phone) SELECT phone FROM used RETURNING id) INSERT INTO floor_sessions (digest, account_id, expires_at) SELECT sha256((:number)::text::bytea), id, now() + interval '30 days' FROM account;
