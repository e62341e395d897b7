\set number random(1, 1000)
SELECT account.id, account.phone, account.name FROM floor_sessions AS session JOIN floor_accounts AS account ON account.id = session.account_id WHERE session.digest = sha256((:number)::text::bytea) AND session.expires_at > now();
