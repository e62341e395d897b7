-- The least that a sign-in by phone has to keep.
CREATE TABLE floor_codes (
    phone text PRIMARY KEY,
    digest bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL
);
CREATE TABLE floor_accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    name text,
    birth_date date,
    gender text,
    bio text,
    location text,
    pictures jsonb
);
CREATE TABLE floor_sessions (
    digest bytea PRIMARY KEY,
    account_id bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE floor_interests (
    account_id bigint NOT NULL,
    interest integer NOT NULL,
    PRIMARY KEY (account_id, interest)
);
