-- The same for SQLite and PostgreSQL. Money is in millionths of a US dollar, times are Unix seconds.
CREATE TABLE api_key (
    name TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    admin BIGINT NOT NULL,
    models TEXT NOT NULL,
    entries TEXT NOT NULL,
    budget_micro BIGINT,
    period TEXT,
    rpm BIGINT,
    tpm BIGINT
);
-- What counts towards a limit in one window: used, and reserved by requests that have not ended.
CREATE TABLE counter (
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    used BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    PRIMARY KEY (key, name)
);
-- A replica extends `expires` while the request runs; what it leaves behind is given back by another one.
CREATE TABLE reservation (
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    amount BIGINT NOT NULL,
    replica TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (id, name)
);
CREATE INDEX reservation_expires ON reservation (expires);
CREATE TABLE usage (
    minute BIGINT NOT NULL,
    key TEXT NOT NULL,
    entry TEXT NOT NULL,
    model TEXT NOT NULL,
    requests BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    incomplete BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    cost_micro BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    latency_ms BIGINT NOT NULL,
    PRIMARY KEY (minute, key, entry, model)
);
CREATE TABLE event (
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    key TEXT NOT NULL
);
