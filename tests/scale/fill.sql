-- Fills a migrated PostgreSQL with {leads} leads, {accounts} accounts, {sessions} sessions, {messages} messages and as many entries of
-- the audit log. tests/scale/run.py and tests/plans.rs replace these numbers and {now}. The same numbers give the same rows, but for
-- random(). One phone number in ten is not Indian; half of the accounts belong to leads; a few phones get many messages.

SELECT setseed(0.5);

-- A UUID of version 7: 48 bits of milliseconds, then a number. PostgreSQL inlines a function that is not declared to be less volatile
-- than what it calls, and here that is worth a minute.
CREATE FUNCTION pg_temp.id(at timestamptz, number bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008' || lpad(to_hex(number), 15, '0'))::uuid
$$;

-- Number i of a permutation of ten digits, in the plan of its country.
CREATE FUNCTION pg_temp.phone(i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i % 20 = 7 THEN '+1202' || lpad((2000000 + i / 20 % 8000000)::text, 7, '0')
                WHEN i % 20 = 13 THEN '+97150' || lpad((1000000 + i / 20 % 9000000)::text, 7, '0')
                ELSE '+91' || (6000000000 + (i * 2654435761) % 4000000000)::text END
$$;

CREATE FUNCTION pg_temp.region(i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN i % 20 = 7 THEN 'US' WHEN i % 20 = 13 THEN 'AE' ELSE 'IN' END
$$;

CREATE FUNCTION pg_temp.first_name(i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['Gaurav', 'Priya', 'Aarav', 'Ananya', 'Vivaan', 'Diya', 'Aditya', 'Ishaan', 'Kavya', 'Rohan', 'Meera', 'Arjun',
        'Sneha', 'Rahul', 'Pooja', 'Karan', 'Neha', 'Siddharth', 'Riya', 'Manish', 'Fatima', 'Imran', 'Zoë', 'محمد', 'प्रिया', 'Lakshmi',
        'Sanjay', 'Deepika', 'Vikram', 'Nisha', 'Harpreet', 'Anil'])[1 + (i * 7919) % 32]
$$;

CREATE FUNCTION pg_temp.last_name(i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['Kumar', 'Sharma', 'Patel', 'Singh', 'Reddy', 'Iyer', 'Nair', 'Das', 'Gupta', 'Mehta', 'Joshi', 'Rao', 'Khan',
        'Chatterjee', 'Banerjee', 'Pillai', 'Verma', 'Desai', 'Kulkarni', 'Bose', 'Menon', 'Agarwal', 'Thakur', 'Fernandes', 'D''Souza',
        'Mishra', 'Chauhan', 'Malhotra', 'Kapoor', 'Naidu', 'Bhat', 'Ghosh', 'Sinha', 'Yadav', 'Tiwari', 'Pandey', 'Saxena'])[1 + (i * 104729) % 37]
        || CASE WHEN i % 3 = 0 THEN ' ' || chr(65 + (i % 26)::int) || md5(i::text) ELSE '' END
$$;

-- More recent times are more frequent. Nothing is so old that the server removes it.
CREATE FUNCTION pg_temp.at(chance double precision) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT TIMESTAMPTZ '{now}' - interval '1 minute' - interval '360 days' * power(chance, 3)
$$;

-- Triggers write the words of names row by row. Here they are written at once.
ALTER TABLE accounts DISABLE TRIGGER USER;

INSERT INTO accounts (id, phone, username, username_key, is_active, created_at, updated_at, seen_at, profile_id, name, name_key,
    birth_date, gender, event_interests, profile_pictures, role)
SELECT pg_temp.id(at, i), pg_temp.phone(i), CASE WHEN i % 50 = 0 THEN 'user' || i END, CASE WHEN i % 50 = 0 THEN 'user' || i END,
    i % 97 <> 0, at, at, CASE WHEN i % 4 <> 0 THEN at + (TIMESTAMPTZ '{now}' - at) * random() END, pg_temp.id(at, i),
    name, lower(name), CASE WHEN name IS NOT NULL THEN DATE '1995-01-01' + (i % 5000)::int END,
    CASE WHEN name IS NOT NULL THEN 'male' END, CASE WHEN name IS NOT NULL THEN '[1,2,3]' ELSE '[]' END::json, '[]'::json,
    CASE WHEN i % 9000 = 0 THEN 'staff' ELSE 'user' END
FROM (SELECT i, pg_temp.at(random()) AS at,
        CASE WHEN i % 5 <> 0 THEN pg_temp.first_name(i) || ' ' || pg_temp.last_name(i) END AS name
    FROM generate_series({leads} - {accounts} / 2 + 1, {leads} - {accounts} / 2 + {accounts}) AS i) AS made;

INSERT INTO search_words (subject, word, subject_id)
SELECT DISTINCT 'account', word, id
FROM accounts, unnest(string_to_array(translate(concat_ws(' ', name_key, username_key), '''', ' '), ' ')) AS word WHERE word <> '';

ALTER TABLE accounts ENABLE TRIGGER USER;

INSERT INTO leads (id, phone, source, state, requests, first_requested_at, last_requested_at, converted_at, name, name_key, region)
SELECT pg_temp.id(at, i), pg_temp.phone(i), CASE WHEN i % 4 = 0 THEN 'login' ELSE 'signup' END,
    CASE WHEN i > {leads} - {accounts} / 2 THEN 'converted' WHEN i % 10 = 0 THEN 'contacted' WHEN i % 33 = 0 THEN 'lost' ELSE 'new' END,
    1 + i % 4, at, at + interval '20 minutes' * random(), CASE WHEN i > {leads} - {accounts} / 2 THEN at + interval '1 minute' END,
    name, lower(name), pg_temp.region(i)
FROM (SELECT i, pg_temp.at(random()) AS at, CASE WHEN i % 30 = 0 THEN pg_temp.first_name(i) || ' ' || pg_temp.last_name(i) END AS name
    FROM generate_series(1, {leads}) AS i) AS made;

INSERT INTO sessions (id, account_id, role, refresh_jti, refresh_issued_at, created_at, last_used_at, expires_at, opened_by, device, address)
SELECT id, account_id, 'user', id, at, at, at, at + interval '90 days', 'code', 'Loopin/5.2 (Android 15)',
    '203.0.113.' || (1 + floor(random() * 250))
FROM (SELECT pg_temp.id(created_at, row_number() OVER ()) AS id, id AS account_id, created_at AS at
    FROM accounts, generate_series(1, {sessions} / {accounts}) WHERE role = 'user') AS made;

-- The power makes some numbers frequent: the first ones get hundreds.
INSERT INTO messages (id, phone, channel, template, provider, status, provider_id, error_code, created_at, updated_at, delivery_id,
    challenge_id, attempt, language, reason, segments, price, price_unit, queued_at, sent_at, delivered_at, undelivered_at, failed_at, region, verified_at)
SELECT pg_temp.id(at, i), pg_temp.phone(number),
    CASE WHEN i % 25 = 0 THEN 'whatsapp' WHEN i % 40 = 0 THEN 'call' ELSE 'sms' END, 'sign_in', 'twilio', status, 'SM' || lpad(to_hex(i), 32, '0'),
    CASE status WHEN 'undelivered' THEN 30003 WHEN 'failed' THEN 21610 END, at, at + interval '8 seconds', pg_temp.id(at, i),
    pg_temp.id(at, i), 1, 'en', CASE status WHEN 'failed' THEN 'opted_out' END,
    1, '-0.0832', 'USD', at, at + interval '1 second',
    CASE WHEN status = 'delivered' THEN at + interval '1 second' + interval '20 seconds' * power(random(), 4) END,
    CASE WHEN status = 'undelivered' THEN at + interval '30 seconds' END, CASE WHEN status = 'failed' THEN at + interval '1 second' END,
    pg_temp.region(number), CASE WHEN status = 'delivered' AND i % 5 <> 2 THEN at + interval '20 seconds' + interval '1 minute' * random() END
FROM (SELECT i, pg_temp.at(random()) AS at, 1 + floor({leads} * power(random(), 1.3))::bigint AS number,
        CASE WHEN i % 20 = 0 THEN 'undelivered' WHEN i % 53 = 0 THEN 'failed' WHEN i % 11 = 0 THEN 'sent' ELSE 'delivered' END AS status
    FROM generate_series(1, {messages}) AS i) AS made;

INSERT INTO audit (id, at, action, actor_kind, actor_id, user_id, phone_mark, phone_masked, address, detail)
SELECT pg_temp.id(at, i), at,
    CASE WHEN i % 1000 = 0 THEN 'account_deactivated' WHEN i % 5000 = 1 THEN 'prefix_closed'
        ELSE (ARRAY['code_sent', 'code_sent', 'signed_in', 'wrong_code', 'code_refused'])[1 + i % 5] END,
    CASE WHEN i % 1000 = 0 THEN 'staff' WHEN i % 5000 = 1 THEN 'system' ELSE 'person' END,
    CASE WHEN i % 5 = 2 THEN about END, CASE WHEN i % 5 = 2 OR i % 1000 = 0 THEN about END,
    md5(phone), '+91******' || right(phone, 4), CASE WHEN i % 5000 <> 1 THEN '203.0.113.' || (1 + i % 250) END,
    '{"purpose": "sign_in", "channel": "sms", "resend": false}'
FROM (SELECT i, pg_temp.at(random()) AS at, pg_temp.phone(1 + i % {leads}) AS phone, lpad(to_hex(i % {leads}), 32, '0')::uuid AS about
    FROM generate_series(1, {messages}) AS i) AS made;

-- The limits of numbers and addresses that were used in the last day.
INSERT INTO budgets (key, count, answered, ends_at)
SELECT 'phone/' || md5(i::text) || '/sends', 1, 0, TIMESTAMPTZ '{now}' + interval '12 hours' FROM generate_series(1, {leads} / 20) AS i;

-- Codes of the last week.
INSERT INTO challenges (phone, purpose, holder, id, key_version, attempts, opened_at, expires_at, sent_at)
SELECT pg_temp.phone(i), 'sign_in', '', pg_temp.id(at, i), 'scale', 0, at, at + interval '10 minutes', at
FROM (SELECT i, TIMESTAMPTZ '{now}' - interval '6 days' * random() AS at FROM generate_series(1, {leads} / 10) AS i) AS made;
