-- What admission and settlement keep beside the ledger, in schema fpm. Everything of a supplier is keyed by supplier_id first.

create table fpm.api_keys (
	id uuid primary key default gen_random_uuid(),
	supplier_id uuid not null references public.user_profiles (id) on delete cascade,
	name text not null default '',
	key_hash text not null constraint key_known_once unique constraint key_is_a_sha256 check (key_hash ~ '^[0-9a-f]{64}$'),
	key_hint text not null default '', -- its first characters, for people
	created_at timestamptz not null default now(),
	revoked_at timestamptz
);
create index api_keys_supplier on fpm.api_keys (supplier_id);

-- What of a supplier's limits for a feature is used up: the figures of one day and one month (UTC), written only under the advisory lock of both.
create table fpm.counters (
	supplier_id uuid not null references public.user_profiles (id) on delete cascade,
	feature_type text not null,
	day date not null,
	day_count bigint not null,
	month date not null,
	month_count bigint not null,
	month_cost numeric not null default 0, -- cents, of this month's rows that have ended
	reserved numeric not null default 0, -- cents, held by this month's rows that have not
	primary key (supplier_id, feature_type)
) with (fillfactor = 50);

-- Rate limits: the moment at which a bucket is full again says all there is to know of it.
create table fpm.rate_buckets (
	supplier_id uuid not null references public.user_profiles (id) on delete cascade,
	feature_type text not null,
	endpoint text not null,
	full_at timestamptz not null,
	primary key (supplier_id, feature_type, endpoint)
) with (fillfactor = 50);

-- The open calls, with what their settlement needs. A row here for each ledger row that is reserved, and for no other, but where the supplier was
-- deleted with the ledger's row: then it goes when it expires.
create table fpm.reservations (
	id uuid primary key, -- of the ledger's row
	created_at timestamptz not null,
	supplier_id uuid not null,
	feature_type text not null,
	model_used text not null,
	expires_at timestamptz not null,
	worker text,
	price_input numeric not null, -- USD per token, those in force when the call was admitted
	price_cached numeric not null,
	price_output numeric not null,
	reserved_cents numeric not null,
	prompt_estimate bigint not null, -- what an orphan is charged
	max_tokens bigint not null,
	cache_hash char(64), -- null: the answer is not to be kept
	cache_scope text,
	cache_owner uuid,
	cache_ttl_s integer
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- The ledger's sums by day, written by the transaction that ends a row. Every report reads these.
create table fpm.usage_daily (
	supplier_id uuid not null references public.user_profiles (id) on delete cascade,
	day date not null,
	feature_type text not null,
	model_used text not null,
	organization_id uuid, -- the supplier's when the calls were made: who changes to another takes nothing along
	requests bigint not null default 0, -- rows that ended, of every state but corrections
	cached bigint not null default 0,
	failed bigint not null default 0,
	aborted bigint not null default 0,
	expired bigint not null default 0,
	estimated bigint not null default 0,
	overruns bigint not null default 0,
	corrections bigint not null default 0,
	prompt_tokens bigint not null default 0,
	cached_tokens bigint not null default 0,
	completion_tokens bigint not null default 0,
	tokens bigint not null default 0,
	cost_cents numeric not null default 0,
	tokens_saved bigint not null default 0,
	saved_cents numeric not null default 0,
	duration_ms bigint not null default 0,
	constraint summed_once unique nulls not distinct (supplier_id, day, feature_type, model_used, organization_id)
) with (fillfactor = 60);
create index usage_daily_day on fpm.usage_daily (day);
create index usage_daily_organization on fpm.usage_daily (organization_id, day) where organization_id is not null;

-- What was refused: counted, never a row each, so that a flood of it costs next to nothing.
create table fpm.refusals (
	supplier_id uuid, -- null: nobody known
	minute timestamptz not null,
	feature_type text not null,
	reason text not null,
	count bigint not null,
	constraint refusals_once_a_minute unique nulls not distinct (supplier_id, minute, feature_type, reason)
) with (fillfactor = 70);
create index refusals_minute on fpm.refusals (minute);

-- Hits on a cache entry whose row somebody else was writing; sweep adds them to it.
create table fpm.cache_hits_pending (
	cache_id uuid not null,
	hits bigint not null,
	tokens bigint not null
);

-- Months of the ledger that are not in it any more: their sums stay in usage_daily, their rows are where the operator put them.
create table fpm.archived_months (
	month date primary key,
	table_name text not null,
	row_count bigint not null,
	cost_cents numeric not null,
	archived_at timestamptz not null default now()
);

-- What admission knows of a call before it looks at the counters: whose it is, what its limits are, what its model costs.
create type fpm.caller as (
	supplier_id uuid,
	organization_id uuid,
	key_id uuid,
	monthly_limit integer,
	daily_limit integer,
	cost_limit numeric,
	price_id bigint, -- null: there is no such model, or it has no price
	price_input numeric,
	price_cached numeric,
	price_output numeric
);
