-- Fills a migrated SQLite database with a month of plausible sign-ins, for the pictures of the console (pictures.cjs). Nothing in it is
-- random, so the pictures only change with the pages and the date. The server counts the days when it starts.

CREATE TEMP TABLE asked AS
WITH RECURSIVE
    days(day) AS (SELECT 0 UNION ALL SELECT day + 1 FROM days WHERE day < 34),
    slots(slot) AS (SELECT 0 UNION ALL SELECT slot + 1 FROM slots WHERE slot < 110)
SELECT day, slot, day * 111 + slot AS n,
    '+9198' || printf('%08d', (day * 111 + slot + 17) * 7919371 % 100000000) AS phone,
    julianday('now') - day - slot * 0.0052 - 0.002 AS at
FROM days, slots
-- It grows over the month, and weekends are busier.
WHERE slot < 78 - day + (day * 37 % 11) + CASE WHEN strftime('%w', 'now', '-' || day || ' days') IN ('0', '6') THEN 18 ELSE 0 END;

CREATE TEMP TABLE codes AS
SELECT n, phone, day, slot, at, n % 23 <> 5 AS is_delivered, n % 23 <> 5 AND n % 6 <> 1 AS is_verified,
    n % 23 <> 5 AND n % 6 <> 1 AND n % 5 <> 2 AS is_completed,
    (json_extract('["Priya Nair","Rohan Mehta","Ananya Iyer","Imran Khan","Meera Joshi","Arjun Reddy","Kavya Pillai","Aditya Rao",
        "Fatima Sheikh","Vikram Singh","Diya Kapoor","Harpreet Gill","Sneha Das"]', '$[' || (n * 7 % 13) || ']')) AS name,
    strftime('%Y-%m-%dT%H:%M:%f+00:00', at) AS created,
    strftime('%Y-%m-%dT%H:%M:%f+00:00', at + (3 + n % 9) / 86400.0) AS delivered,
    strftime('%Y-%m-%dT%H:%M:%f+00:00', at + (14 + n % 41) / 86400.0) AS verified
FROM asked;

INSERT INTO messages (id, phone, channel, template, provider, status, provider_id, created_at, updated_at, delivery_id, challenge_id,
    attempt, language, segments, price, price_unit, queued_at, sent_at, delivered_at, undelivered_at, error_code, region, verified_at)
SELECT randomblob(16), phone, CASE WHEN n % 9 = 4 THEN 'whatsapp' WHEN n % 31 = 7 THEN 'call' ELSE 'sms' END, 'sign_in', 'twilio',
    CASE WHEN is_delivered THEN 'delivered' ELSE 'undelivered' END, 'SM' || printf('%032x', n), created, verified, randomblob(16),
    randomblob(16), 1, 'en', 1, CASE WHEN n % 9 = 4 THEN '-0.0042' ELSE '-0.0832' END, 'USD', created, created,
    CASE WHEN is_delivered THEN delivered END, CASE WHEN NOT is_delivered THEN delivered END,
    CASE WHEN NOT is_delivered THEN 30003 END, 'IN', CASE WHEN is_verified THEN verified END
FROM codes;

INSERT INTO accounts (id, phone, is_active, created_at, updated_at, seen_at, profile_id, name, name_key, birth_date, gender,
    event_interests, profile_pictures, role, device_epoch, is_review)
SELECT randomblob(16), phone, 1, verified, verified, verified, randomblob(16), CASE WHEN is_completed THEN name END,
    CASE WHEN is_completed THEN lower(name) END, CASE WHEN is_completed THEN '1995-01-01' END, CASE WHEN is_completed THEN 'female' END,
    CASE WHEN is_completed THEN '[1,2]' ELSE '[]' END, CASE WHEN is_completed THEN '["https://example.com/picture.jpg"]' ELSE '[]' END,
    'user', 0, 0
FROM codes WHERE is_verified;

INSERT INTO leads (id, phone, source, state, requests, first_requested_at, last_requested_at, converted_at, notes, region, name, name_key, version)
SELECT randomblob(16), phone, CASE WHEN n % 4 = 0 THEN 'login' ELSE 'signup' END,
    CASE WHEN is_verified THEN 'converted' WHEN n / 6 % 3 = 0 THEN 'contacted' WHEN n / 6 % 11 = 1 THEN 'lost' ELSE 'new' END,
    1 + (NOT is_verified) * (n / 6 % 3), created, created, CASE WHEN is_verified THEN verified END, '', 'IN',
    CASE WHEN NOT is_verified AND n / 6 % 3 = 0 THEN name END, CASE WHEN NOT is_verified AND n / 6 % 3 = 0 THEN lower(name) END, 0
FROM codes;

INSERT INTO audit (id, at, action, actor_kind, phone_masked, address, detail)
SELECT randomblob(16), created, CASE WHEN n % 53 = 11 THEN 'phone_locked' ELSE 'code_refused' END, 'person', '+91******' || substr(phone, -4),
    '203.0.113.' || (1 + n % 250),
    CASE n % 4 WHEN 0 THEN '{"purpose": "sign_in", "budget": "cooldown", "retry_after": 20}'
        WHEN 1 THEN '{"purpose": "sign_in", "budget": "phone-sends", "retry_after": 3600}'
        WHEN 2 THEN '{"purpose": "sign_in", "reason": "region_not_allowed", "country": "BD"}'
        ELSE '{"purpose": "sign_in", "budget": "phone-guesses", "retry_after": 86400}' END
FROM codes WHERE n % 53 = 11 OR n % 9 = 2;

-- So that the server counts at once, and not five minutes after it did so last.
DELETE FROM leases;
