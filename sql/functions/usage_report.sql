-- usage_report: a caller's own usage, or its organisation's, as GET /api/ai/usage answers it. From the daily sums and the counters: no row of the
-- ledger is read.
--
-- Parameters: p_key_hash   SHA-256 of the caller's key, in hex
--             p_from, p_to days (UTC), both included; null: from the first of this month, till today
--             p_scope      'organization': of all that was used in the caller's organisation; anything else: the caller's
-- Returns:    one row with the JSON object {"from", "to", "scope", "usage": [...], "total": {...}, "limits": [...]}; none where the key is unknown.
--             limits are the caller's own, whatever the scope; null: unlimited. What is open counts as reservedCents.
-- Calls:      fpm.authenticate
-- Tables:     reads fpm.usage_daily, fpm.counters, public.ai_usage_limits
create or replace function fpm.usage_report(p_key_hash text, p_from date default null, p_to date default null, p_scope text default null)
returns setof jsonb
language sql stable security definer rows 1 set search_path = pg_catalog, pg_temp
as $$
	with clock as (
		select (now() at time zone 'UTC')::date as today, date_trunc('month', now() at time zone 'UTC')::date as month
	), caller as (
		select a.supplier_id::uuid as supplier, a.organization_id::uuid as organization, a.tier, coalesce(p_from, c.month) as since, coalesce(p_to,
			c.today) as until,
			c.today, c.month, p_scope = 'organization' and a.organization_id is not null as together
		from fpm.authenticate(p_key_hash) a, clock c
	), used as (
		select u.* from caller c join fpm.usage_daily u on u.supplier_id = c.supplier and u.day between c.since and c.until and not coalesce(c.together,
			false)
		union all
		select u.* from caller c join fpm.usage_daily u on u.organization_id = c.organization and u.day between c.since and c.until and c.together
	), lines as (
		select u.day, u.feature_type, u.model_used, sum(u.requests) as requests, sum(u.cached) as cached, sum(u.failed) as failed, sum(u.tokens) as tokens,
			trim_scale(sum(u.cost_cents)) as cost, sum(u.tokens_saved) as tokens_saved, trim_scale(sum(u.saved_cents)) as saved
		from used u group by u.day, u.feature_type, u.model_used
	), bounds as (
		select coalesce(l.feature_type, n.feature_type) as feature, coalesce(l.monthly_limit, 10) as monthly, coalesce(l.daily_limit, 2) as daily,
			coalesce(l.cost_limit_cents, 500) as cost_limit, case when n.day = c.today then n.day_count else 0 end as day_count,
			case when n.month = c.month then n.month_count else 0 end as month_count,
			case when n.month = c.month then n.month_cost else 0 end as month_cost, case when n.month = c.month then n.reserved else 0 end as held
		from caller c
		join (public.ai_usage_limits l full join (select n.* from fpm.counters n where n.supplier_id = (select c.supplier from caller c)) n
			on n.feature_type = l.feature_type and l.tier_name = (select c.tier from caller c)) on l.tier_name is null or l.tier_name = c.tier
	)
	select jsonb_build_object('from', c.since, 'to', c.until, 'scope', case when c.together then 'organization' else 'supplier' end,
		'usage', coalesce((select jsonb_agg(jsonb_build_object('day', l.day, 'feature', l.feature_type, 'model', l.model_used, 'requests', l.requests,
			'cached', l.cached, 'failed', l.failed, 'tokens', l.tokens, 'costCents', l.cost, 'tokensSaved', l.tokens_saved, 'centsSaved', l.saved)
			order by l.day, l.feature_type, l.model_used) from lines l), '[]'),
		'total', (select jsonb_build_object('requests', coalesce(sum(l.requests), 0), 'cached', coalesce(sum(l.cached), 0), 'failed',
			coalesce(sum(l.failed), 0),
			'tokens', coalesce(sum(l.tokens), 0), 'costCents', trim_scale(coalesce(sum(l.cost), 0)), 'tokensSaved', coalesce(sum(l.tokens_saved), 0),
			'centsSaved', trim_scale(coalesce(sum(l.saved), 0))) from lines l),
		'limits', coalesce((select jsonb_agg(jsonb_build_object('feature', b.feature,
			'dayLimit', case when b.daily >= 0 then b.daily end, 'dayLeft', case when b.daily >= 0 then greatest(b.daily - b.day_count, 0) end,
			'monthLimit', case when b.monthly >= 0 then b.monthly end, 'monthLeft', case when b.monthly >= 0 then greatest(b.monthly - b.month_count, 0) end,
			'costLimitCents', case when b.cost_limit >= 0 then trim_scale(b.cost_limit) end, 'costCents', trim_scale(b.month_cost),
			'reservedCents', trim_scale(b.held),
			'costLeftCents', case when b.cost_limit >= 0 then trim_scale(greatest(b.cost_limit - b.month_cost - b.held, 0)) end)
			order by b.feature) from bounds b), '[]'))
	from caller c
$$;
