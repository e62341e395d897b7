-- Codes that wait for their verification, one for each transaction of the measurement.
INSERT INTO floor_codes
    SELECT '+1902' || lpad(number::text, 7, '0'), sha256('1234'), now() + interval '1 hour', 0
    FROM generate_series(0, :codes) AS number;
VACUUM ANALYZE floor_codes;
