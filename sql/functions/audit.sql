-- audit: every difference between the ledger and what is kept beside it, and every row that contradicts itself. Nothing: all is equal.
--
-- Parameters: p_from, p_to  days (UTC), both included; null: open
-- Returns:    rows: what was checked, of what, what it should be by the ledger, what was found
-- Calls:      nothing
-- Tables:     reads public.ai_usage_tracking, fpm.counters, fpm.usage_daily, fpm.model_prices, fpm.archived_months,
--             fpm.idempotency_keys, public.user_profiles, public.ai_response_cache
--
-- One statement, so one snapshot: it holds on a system in full work, because every transaction leaves all of these equal.
create or replace function fpm.audit(p_from date default null, p_to date default null)
returns table (check_name text, subject text, expected text, found text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	with bounds as (
		select coalesce(p_from::timestamp at time zone 'UTC', '-infinity') as since,
			coalesce((p_to + 1)::timestamp at time zone 'UTC', 'infinity') as until
	), ledger as (
		select t.*, (t.created_at at time zone 'UTC')::date as day
		from public.ai_usage_tracking t, bounds b
		where t.created_at >= b.since and t.created_at < b.until
			and (t.state <> 'reserved' or exists (select from public.user_profiles u where u.id = t.supplier_id)) -- else gone with the supplier, till it ends
	),
	-- Counters: of those whose month begins in the period or holds it, against all of their month's rows.
	counters as (
		select c.*, c.supplier_id || ' ' || c.feature_type as subject
		from fpm.counters c, bounds b
		where c.month < b.until and (c.month + interval '1 month') at time zone 'UTC' > b.since
			and not exists (select from fpm.archived_months a where a.month = c.month)
	), counted as (
		select c.supplier_id, c.feature_type,
			count(*) filter (where t.state in ('reserved', 'settled', 'aborted', 'expired', 'cached')) as month_count,
			count(*) filter (where t.state in ('reserved', 'settled', 'aborted', 'expired', 'cached')
				and t.created_at >= c.day::timestamp at time zone 'UTC' and t.created_at < (c.day + 1)::timestamp at time zone 'UTC') as day_count,
			coalesce(sum(t.cost_cents), 0) as month_cost,
			coalesce(sum(t.reserved_cents) filter (where t.state = 'reserved'), 0) as reserved
		from counters c
		join public.ai_usage_tracking t on t.supplier_id = c.supplier_id and t.feature_type = c.feature_type
			and t.created_at >= c.month::timestamp at time zone 'UTC' and t.created_at < (c.month + interval '1 month') at time zone 'UTC'
		group by c.supplier_id, c.feature_type
	), daily as (
		select l.supplier_id, l.day, l.feature_type, l.model_used, coalesce(l.organization_id::text, 'none') as organization,
			count(*) filter (where l.state <> 'correction') as requests, count(*) filter (where l.state = 'cached') as cached,
			count(*) filter (where l.state = 'failed') as failed, count(*) filter (where l.state = 'aborted') as aborted,
			count(*) filter (where l.state = 'expired') as expired, count(*) filter (where l.state = 'correction') as corrections,
			count(*) filter (where l.estimated) as estimated, count(*) filter (where l.overrun) as overruns,
			sum(l.prompt_tokens) as prompt_tokens, sum(l.cached_tokens) as cached_tokens, sum(l.completion_tokens) as completion_tokens,
			sum(l.tokens_used) as tokens, sum(l.cost_cents) as cost_cents, sum(l.tokens_saved) as tokens_saved, sum(l.saved_cents) as saved_cents,
			sum(coalesce(l.request_duration_ms, 0)) as duration_ms
		from ledger l
		where l.state <> 'reserved'
		group by l.supplier_id, l.day, l.feature_type, l.model_used, l.organization_id
	), rolled as (
		select u.*, coalesce(u.organization_id::text, 'none') as organization from fpm.usage_daily u
		where not exists (select from fpm.archived_months a where u.day >= a.month and u.day < a.month + interval '1 month')
			and u.day >= coalesce(p_from, '-infinity') and u.day <= coalesce(p_to, 'infinity')
	)

	select v.check_name, c.subject, trim_scale(v.expected)::text, trim_scale(v.found)::text
	from counters c
	left join counted n using (supplier_id, feature_type)
	cross join lateral (values
		('counter: requests of the day', coalesce(n.day_count, 0), c.day_count),
		('counter: requests of the month', coalesce(n.month_count, 0), c.month_count),
		('counter: cost of the month', coalesce(n.month_cost, 0), c.month_cost),
		('counter: reserved', coalesce(n.reserved, 0), c.reserved)) v (check_name, expected, found)
	where v.expected <> v.found

	union all
	select 'counter: day of another month', c.subject, date_trunc('month', c.day::timestamp)::date::text, c.month::text
	from counters c
	where c.month <> date_trunc('month', c.day::timestamp)::date

	union all
	select 'counter: missing', l.supplier_id || ' ' || l.feature_type, count(*) || ' rows', null
	from ledger l
	where not exists (select from fpm.counters c where c.supplier_id = l.supplier_id and c.feature_type = l.feature_type)
	group by l.supplier_id, l.feature_type

	union all
	select 'daily sum: ' || v.what, concat_ws(' ', supplier_id, day, feature_type, model_used, nullif(organization, 'none')),
		trim_scale(v.expected)::text, trim_scale(v.found)::text
	from daily d
	full join rolled u using (supplier_id, day, feature_type, model_used, organization)
	cross join lateral (values
		('requests', d.requests, u.requests), ('cached', d.cached, u.cached), ('failed', d.failed, u.failed), ('aborted', d.aborted, u.aborted),
		('expired', d.expired, u.expired), ('corrections', d.corrections, u.corrections), ('estimated', d.estimated, u.estimated),
		('overruns', d.overruns, u.overruns), ('prompt tokens', d.prompt_tokens, u.prompt_tokens), ('cached tokens', d.cached_tokens, u.cached_tokens),
		('completion tokens', d.completion_tokens, u.completion_tokens), ('tokens', d.tokens, u.tokens), ('cost', d.cost_cents, u.cost_cents),
		('tokens saved', d.tokens_saved, u.tokens_saved), ('cents saved', d.saved_cents, u.saved_cents),
		('duration', d.duration_ms, u.duration_ms)) v (what, expected, found)
	where coalesce(v.expected, 0) <> coalesce(v.found, 0)

	union all
	select 'reservation: past its time', l.id::text, 'ended by ' || l.expires_at, 'reserved'
	from ledger l
	where l.state = 'reserved' and l.expires_at < clock_timestamp() - interval '10 minutes'

	-- A month that is archived had what its days' sums have.
	union all
	select 'archived month: ' || v.what, a.month::text, trim_scale(v.expected)::text, trim_scale(v.found)::text
	from fpm.archived_months a
	cross join bounds b
	cross join lateral (
		select coalesce(sum(u.requests + u.corrections), 0) as rows, coalesce(sum(u.cost_cents), 0) as cost
		from fpm.usage_daily u where u.day >= a.month and u.day < (a.month + interval '1 month')::date) d
	cross join lateral (values ('rows', a.row_count::numeric, d.rows), ('cost', a.cost_cents, d.cost)) v (what, expected, found)
	where v.expected <> v.found and a.month < b.until and (a.month + interval '1 month') at time zone 'UTC' > b.since

	-- An answer that could be given again, and is not one of the supplier's own rows.
	union all
	select 'idempotency key: answer without its row', concat_ws(' ', k.supplier_id, k.request_id), k.row_id::text, 'none'
	from fpm.idempotency_keys k, bounds b
	where k.row_created_at >= b.since and k.row_created_at < b.until
		and not exists (select from public.ai_usage_tracking t where t.id = k.row_id and t.created_at = k.row_created_at
			and t.supplier_id = k.supplier_id and t.request_id = k.request_id)
		and not exists (select from fpm.archived_months a where a.month = date_trunc('month', k.row_created_at at time zone 'UTC'))

	union all
	select 'idempotency key: past its time', concat_ws(' ', k.supplier_id, k.request_id), 'gone by ' || k.expires_at, 'kept'
	from fpm.idempotency_keys k, bounds b
	where k.expires_at < clock_timestamp() - interval '1 hour' and k.claimed_at >= b.since and k.claimed_at < b.until

	-- The owner is in the column of its scope, and the size is the answer's.
	union all
	select 'cache entry: ' || v.what, a.id::text, v.expected, v.found
	from public.ai_response_cache a
	join bounds b on a.created_at >= b.since and a.created_at < b.until
	cross join lateral (values
		('owner of another scope', a.scope,
			coalesce(concat_ws(' and ', case when a.organization_id is not null then 'organization' end, case when a.supplier_id is not null then 'supplier' end), '')),
		('bytes', octet_length(a.response_content)::text, a.content_bytes::text)) v (what, expected, found)
	where v.found <> case when v.expected = 'shared' then '' else v.expected end

	union all
	select 'row: price of another model', l.id::text, l.provider || '/' || l.model_used, coalesce(p.provider || '/' || p.model_name, 'none')
	from ledger l
	left join fpm.model_prices p on p.id = l.price_id
	where l.price_id is not null and (p.model_name, p.provider) is distinct from (l.model_used, coalesce(l.provider, p.provider))

	union all
	select 'row: cost', l.id::text, trim_scale(w.cost)::text, trim_scale(l.cost_cents)::text
	from ledger l
	left join fpm.model_prices p on p.id = l.price_id
	cross join lateral (select case
		when l.state in ('reserved', 'cached') then 0
		when l.price_id is null then l.cost_cents
		else 100 * (p.price_input * (l.prompt_tokens - l.cached_tokens) + p.price_cached * l.cached_tokens + p.price_output * l.completion_tokens)
		end as cost) w
	where l.cost_cents is distinct from w.cost

	union all
	select 'row: corrects nothing', l.id::text, coalesce(l.corrects::text, 'an id'), 'none'
	from ledger l
	where l.state = 'correction' and not exists (
			select from public.ai_usage_tracking t where t.supplier_id = l.supplier_id and t.id = l.corrects and t.created_at <= l.created_at)
		and not exists (select from fpm.archived_months)

	union all
	select 'row: ' || v.what, l.id::text, v.expected, l.state
	from ledger l
	cross join lateral (values
		('tokens are not prompt and completion', 'sum', l.state <> 'correction' and l.tokens_used <> l.prompt_tokens + l.completion_tokens),
		('below zero', 'none', l.state <> 'correction' and least(l.prompt_tokens, l.cached_tokens, l.completion_tokens, l.cost_cents) < 0),
		('more cached tokens than prompt tokens', 'part', l.state <> 'correction' and l.cached_tokens > l.prompt_tokens),
		('tokens of an open or cached call', 'none', l.state in ('reserved', 'cached') and l.tokens_used <> 0),
		('success says otherwise', 'equal', l.success is distinct from case when l.state = 'reserved' then null when l.state = 'correction' then l.success
			else l.state in ('settled', 'cached') end),
		('overrun says otherwise', 'equal', l.worker is not null and l.overrun <> (l.state not in ('reserved', 'correction')
			and l.cost_cents > l.reserved_cents)),
		('ended without a time', 'time', l.worker is not null and (l.state = 'reserved') <> (l.settled_at is null)),
		('expired and not estimated', 'estimated', l.state = 'expired' and not l.estimated),
		('price unknown', 'price', l.worker is not null and l.state not in ('cached', 'correction') and l.price_id is null)) v (what, expected, wrong)
	where v.wrong
$$;
