-- supplier_list: every supplier, with how many keys it has and what it used this month.
--
-- Parameters: none
-- Returns:    rows, by id
-- Calls:      nothing
-- Tables:     reads public.user_profiles, fpm.api_keys, fpm.counters
create or replace function fpm.supplier_list()
returns table (supplier_id uuid, organization_id uuid, tier text, keys bigint, month_requests bigint, month_cost_cents numeric)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select u.id, u.organization_id, u.subscription_tier::text,
		(select count(*) from fpm.api_keys k where k.supplier_id = u.id and k.revoked_at is null),
		coalesce(c.requests, 0), coalesce(c.cost, 0)
	from public.user_profiles u
	left join lateral (
		select sum(n.month_count)::bigint as requests, trim_scale(sum(n.month_cost)) as cost
		from fpm.counters n
		where n.supplier_id = u.id and n.month = date_trunc('month', clock_timestamp() at time zone 'UTC')::date
	) c on true
	order by u.id
$$;
