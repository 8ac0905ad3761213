-- The ledger in two parts: the calls that are open, few and always on the same pages, and those that have ended, each written once, into its month, and never
-- again. A row goes from one to the other in the transaction that ends it. Everybody reads both as public.ai_usage_tracking.
--
-- Before, a reserved row was written into its month and rewritten there, beside a row of fpm.reservations: twice the work for each call, and every settlement
-- opened every month's partition to find the one that it updates.

drop function if exists fpm.run(jsonb), fpm.lock_calls(fpm.call[]), fpm.admit_calls(fpm.call[], int[]), fpm.book_admitted(fpm.call[], fpm.admitted[]),
	fpm.settle_calls(fpm.call[]), fpm.settle_late(fpm.call), fpm.expire(uuid), fpm.count_hit(uuid, bigint),
	fpm.end_row(fpm.reservations, text, bigint, bigint, bigint, boolean, bigint, text),
	fpm.add_usage(uuid, uuid, date, text, text, text, bigint, bigint, bigint, numeric, boolean, boolean, bigint, numeric, bigint),
	fpm.room(timestamptz, fpm.caller, fpm.counters, numeric, int, bigint, timestamptz),
	fpm.renew_answer(char, int, text, text, bigint, numeric), fpm.new_row_id(timestamptz), fpm.ticket(uuid, timestamptz, bigint),
	fpm.cache_key(text, uuid, text);
drop type fpm.call, fpm.reply, fpm.admitted, fpm.caller;

drop policy if exists suppliers_read_own_usage on public.ai_usage_tracking;
alter table public.ai_usage_tracking disable row level security;
alter table public.ai_usage_tracking rename to ai_usage_ended;
alter table public.ai_usage_ended set schema fpm;
alter index fpm.ai_usage_tracking_pkey rename to ai_usage_ended_pkey;
alter index fpm.ai_usage_tracking_supplier rename to ai_usage_ended_supplier;
alter index fpm.ai_usage_tracking_feature rename to ai_usage_ended_feature;
-- What an open call needs to be ended. Null in a row that has ended, where a null takes no room.
alter table fpm.ai_usage_ended
	add column expires_at timestamptz,      -- whoever has not ended by then has died
	add column prompt_estimate bigint,      -- what an orphan is charged
	add column max_tokens bigint,
	add column cache_hash char(64),         -- null: the answer is not to be kept
	add column cache_scope text,
	add column cache_owner uuid,
	add column cache_ttl_s integer;

alter table fpm.ai_usage_ended drop constraint state_known; -- the list of partitions says it from now on
create table public.ai_usage_tracking (like fpm.ai_usage_ended including defaults) partition by list (state);

create table fpm.ai_usage_open (like fpm.ai_usage_ended including defaults,
	constraint ai_usage_open_pkey primary key (id)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index ai_usage_open_answer on fpm.ai_usage_open (cache_hash) where cache_hash is not null;

with moved as (
	delete from fpm.ai_usage_ended t where t.state = 'reserved' returning t.*
)
insert into fpm.ai_usage_open (id, supplier_id, feature_type, model_used, created_at, state, organization_id, reserved_cents, price_id, provider, endpoint, request_id,
	key_id, worker, stream, expires_at, prompt_estimate, max_tokens, cache_hash, cache_scope, cache_owner, cache_ttl_s)
select m.id, m.supplier_id, m.feature_type, m.model_used, m.created_at, m.state, m.organization_id, m.reserved_cents, m.price_id, m.provider, m.endpoint, m.request_id,
	m.key_id, m.worker, m.stream, r.expires_at, r.prompt_estimate, r.max_tokens, r.cache_hash, r.cache_scope, r.cache_owner, r.cache_ttl_s
from moved m join fpm.reservations r on r.id = m.id;
drop table fpm.reservations;

alter table public.ai_usage_tracking attach partition fpm.ai_usage_open for values in ('reserved');
alter table public.ai_usage_tracking attach partition fpm.ai_usage_ended for values in ('settled', 'failed', 'aborted', 'expired', 'cached', 'correction');

alter table public.ai_usage_tracking add constraint ai_usage_tracking_supplier_id_fkey foreign key (supplier_id) references public.user_profiles (id) on delete cascade;

-- By supplier and by feature, of the rows that have ended: the few that have not are not worth an entry each.
create index ai_usage_tracking_supplier on only public.ai_usage_tracking (supplier_id, created_at);
alter index public.ai_usage_tracking_supplier attach partition fpm.ai_usage_ended_supplier;
create index ai_usage_tracking_feature on only public.ai_usage_tracking (feature_type, created_at);
alter index public.ai_usage_tracking_feature attach partition fpm.ai_usage_ended_feature;

-- A check is parsed anew by each statement that writes: one instead of two.
alter table public.ai_response_cache drop constraint cache_scope_known, drop constraint cache_entry_has_its_owner,
	add constraint cache_entry_has_its_owner check (case scope when 'shared' then organization_id is null and supplier_id is null
		when 'organization' then organization_id is not null and supplier_id is null when 'supplier' then supplier_id is not null and organization_id is null else false end);

-- What the daemon asks for: may this call go out? See fpm.admit.
create type fpm.admit_call as (
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
	waited_for uuid,           -- the id of the call whose answer this one has waited for
	rank int                   -- among the set's calls of the same supplier and feature, from 1; too large a number is safe, and asks for more tries
);

-- This call has come to its end. See fpm.settle.
create type fpm.settle_call as (
	id uuid,                   -- of the row, its time and its lock: what admission answered
	created_us bigint,         -- since 1970
	lock_key bigint,
	state text,
	prompt_tokens bigint,
	cached_tokens bigint,
	completion_tokens bigint,
	estimated boolean,
	duration_ms bigint,
	error text,
	answer text,
	rank int
);

-- What admission knows of a call, beside the counters.
create type fpm.asked as (
	n int,
	verdict text,              -- unauthenticated, model_unknown; null: the limits decide
	supplier_id uuid,
	organization_id uuid,
	key_id uuid,
	lock_key bigint,
	rank bigint,               -- among the set's calls with the same supplier and feature, from 1
	hopeless boolean,          -- refused, by a look that takes no lock
	request_id text,
	feature text,
	endpoint text,
	provider text,
	model text,
	worker text,
	stream boolean,
	monthly_limit int,
	daily_limit int,
	cost_limit numeric,
	capacity int,              -- places of a full bucket; null: no rate
	step_us bigint,            -- until one place comes back
	counted date,              -- the counter's day; null: there is no counter
	price_id bigint,
	price_input numeric,
	price_cached numeric,
	price_output numeric,
	reserve numeric,           -- cents
	prompt_estimate bigint,
	max_tokens bigint,
	open_ms bigint,            -- after which it has expired
	cache_hash char(64),
	cache_scope text,
	cache_owner uuid,
	cache_ttl_s int,
	waited_for uuid,           -- the call whose answer this one has waited for, and not got
	maker uuid,                -- the open call that makes the same answer
	hit_id uuid,               -- of the cache
	hit_model text,
	hit_tokens bigint,
	hit_cents numeric
);

-- What a call is answered.
create type fpm.admission as (
	n int,
	verdict text,
	id uuid,                   -- what a settlement is to name
	created_us bigint,
	lock_key bigint,
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
	maker text                 -- of in_flight: the id of the call that is making the answer
);

create type fpm.settlement as (
	n int,
	done boolean,
	state text,
	cost_cents text
);

-- A row that has ended, as the sums and the cache need it.
create type fpm.ended as (
	n int,
	id uuid,
	created_at timestamptz,
	supplier_id uuid,
	organization_id uuid,
	feature_type text,
	model_used text,
	state text,
	prompt_tokens bigint,
	cached_tokens bigint,
	completion_tokens bigint,
	cost_cents numeric,
	reserved_cents numeric,
	estimated boolean,
	overrun boolean,
	duration_ms int,
	tokens_saved bigint,
	saved_cents numeric,
	cache_hash char(64),
	cache_scope text,
	cache_owner uuid,
	cache_ttl_s int,
	answer text                -- to be kept; null: none
);
