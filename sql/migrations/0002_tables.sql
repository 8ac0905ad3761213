-- The tables that the application's own code may know, in schema public. Rights, owners and policies are in grants.sql.

do $$
begin
	if to_regclass('public.user_profiles') is null then
		create table public.user_profiles (
			id uuid primary key default gen_random_uuid(),
			organization_id uuid,
			subscription_tier text not null default 'starter',
			created_at timestamptz not null default now()
		);
		create index user_profiles_organization on public.user_profiles (organization_id) where organization_id is not null;
		comment on table public.user_profiles is 'suppliers, by prompt-fpm';
	end if;
end
$$;

-- Every version of every price, so that a row of the ledger can name the one it was charged by. Written by the trigger on ai_models, never changed.
create table fpm.model_prices (
	id bigint generated always as identity primary key,
	provider text not null,
	model_name text not null,
	price_input numeric not null constraint price_not_negative check (price_input >= 0 and price_cached >= 0 and price_output >= 0),
	price_cached numeric not null,
	price_output numeric not null,
	valid_from timestamptz not null default now()
);
create index model_prices_model on fpm.model_prices (model_name, valid_from);

create table public.ai_models (
	id uuid primary key default gen_random_uuid(),
	model_name text not null constraint model_known_once unique,
	provider text not null constraint provider_known check (provider in ('openai', 'anthropic', 'local')),
	model_config jsonb not null default '{}',
	cost_per_input_token numeric constraint input_price_not_negative check (cost_per_input_token >= 0),
	cost_per_cached_token numeric constraint cached_price_not_negative check (cost_per_cached_token >= 0), -- null: as input
	cost_per_output_token numeric constraint output_price_not_negative check (cost_per_output_token >= 0),
	price_id bigint, -- the price in force; null where there is none: such a model is refused
	max_tokens integer, -- the context's size; null where it is not published
	supports_streaming boolean not null default true,
	is_active boolean not null default true,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);

create table public.ai_usage_limits (
	id uuid primary key default gen_random_uuid(),
	tier_name text not null,
	feature_type text not null,
	monthly_limit integer not null,
	daily_limit integer not null,
	cost_limit_cents numeric not null,
	created_at timestamptz not null default now(),
	constraint limits_once_per_tier_and_feature unique (tier_name, feature_type)
);
comment on table public.ai_usage_limits is 'a negative limit is none; a tier without a row has 10 a month, 2 a day, 500 cents';

create table public.ai_response_cache (
	id uuid primary key default gen_random_uuid(),
	prompt_hash char(64) not null constraint answer_cached_once unique,
	feature_type text not null,
	model_used text not null,
	response_content text not null,
	tokens_saved bigint not null default 0, -- by all hits together
	cache_hits bigint not null default 0,
	expires_at timestamptz not null,
	created_at timestamptz not null default now(),
	answer_tokens bigint not null default 0, -- what the answer took when it was made: one hit saves so many
	answer_cents numeric not null default 0,
	scope text not null default 'shared' constraint cache_scope_known check (scope in ('shared', 'organization', 'supplier')),
	organization_id uuid, -- whose it is, where scope is organization
	supplier_id uuid references public.user_profiles (id) on delete cascade, -- whose it is, where scope is supplier
	constraint cache_entry_has_its_owner check (
		(scope = 'organization') = (organization_id is not null) and (scope = 'supplier') = (supplier_id is not null))
) with (fillfactor = 80);
create index ai_response_cache_expires on public.ai_response_cache (expires_at);

-- The ledger: one row a call that was admitted. See doc/ledger.md. PostgreSQL parses a check constraint anew for every statement that writes, which
-- shows here: what else must hold of a row is seen to by the functions that write it, and by fpm.audit.
create table public.ai_usage_tracking (
	id uuid not null default gen_random_uuid(),
	supplier_id uuid not null references public.user_profiles (id) on delete cascade,
	feature_type text not null,
	model_used text not null,
	tokens_used bigint not null default 0,
	cost_cents numeric not null default 0,
	prompt_tokens bigint not null default 0,
	completion_tokens bigint not null default 0,
	request_duration_ms integer,
	success boolean, -- null while reserved
	error_message text, -- a code of the catalogue of errors
	created_at timestamptz not null default now(),
	state text not null default 'settled' constraint state_known check (
		state in ('reserved', 'settled', 'failed', 'aborted', 'expired', 'cached', 'correction')),
	organization_id uuid, -- the supplier's when the call was made
	cached_tokens bigint not null default 0, -- the part of prompt_tokens that the provider had in its own cache
	estimated boolean not null default false, -- tokens by the stated estimate, not by the provider's count
	overrun boolean not null default false, -- the cost came out above the reservation
	reserved_cents numeric not null default 0, -- the upper bound held while the call ran
	price_id bigint, -- fpm.model_prices: the price that was in force
	tokens_saved bigint not null default 0, -- of a cached row: what making the answer had taken
	saved_cents numeric not null default 0,
	provider text,
	endpoint text,
	request_id text,
	key_id uuid,
	worker text,
	stream boolean not null default false,
	settled_at timestamptz,
	corrects uuid, -- of a correction: the id of the row it corrects
	primary key (id, created_at)
) partition by range (created_at);
create index ai_usage_tracking_supplier on public.ai_usage_tracking (supplier_id, created_at);
create index ai_usage_tracking_feature on public.ai_usage_tracking (feature_type, created_at);

-- What no month's partition takes; empty as long as partitions are made ahead.
create table fpm.ai_usage_tracking_default partition of public.ai_usage_tracking default with (fillfactor = 85);
