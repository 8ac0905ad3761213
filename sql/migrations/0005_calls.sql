-- What the daemon asks for, as a set: see fpm.run.

-- One call of a set. kind is admit or settle; each uses its own members, the others are null.
create type fpm.call as (
	kind text,
	-- admit
	key_hash text,
	request_id text,
	feature text,
	endpoint text,
	provider text,
	model text,
	rate_count int,
	rate_period_s int,
	rate_burst int,
	prompt_tokens_max bigint,
	prompt_tokens_estimate bigint,
	max_tokens bigint,
	content_hash text,
	cache_scope text,
	cache_ttl_s int,
	timeout_ms bigint,
	grace_ms bigint,
	worker text,
	stream boolean,
	-- settle
	ticket text,
	state text,
	prompt_tokens bigint,
	cached_tokens bigint,
	completion_tokens bigint,
	estimated boolean,
	duration_ms bigint,
	error text,
	content text
);

-- What a call is answered: by admit up to answer, by settle from done on.
create type fpm.reply as (
	n int,
	verdict text,
	ticket text,
	retry_after_s int,
	rate_limit int,
	rate_remaining int,
	rate_reset_s int,
	day_left bigint,
	month_left bigint,
	model text,
	price_input text,
	price_cached text,
	price_output text,
	answer text,
	done boolean,
	state text,
	cost_cents text
);

-- An admitted call on its way into the ledger.
create type fpm.admitted as (
	n int,
	id uuid,
	created_at timestamptz,
	supplier_id uuid,
	organization_id uuid,
	key_id uuid,
	feature_type text,
	model_used text,
	hit_id uuid, -- of the cache; null: a reservation
	hit_tokens bigint,
	hit_cents numeric,
	price_id bigint,
	price_input numeric,
	price_cached numeric,
	price_output numeric,
	reserved_cents numeric,
	cache_hash char(64),
	cache_scope text,
	cache_owner uuid
);
