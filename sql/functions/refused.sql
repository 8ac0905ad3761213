-- refused: what was refused, by day, supplier, feature and reason.
--
-- Parameters: p_supplier   null: all, and those nobody knows
--             p_from, p_to days (UTC), both included; null: open
-- Returns:    rows by day; supplier_id is null where the caller was nobody known
-- Calls:      nothing
-- Tables:     reads fpm.refusals
create or replace function fpm.refused(p_supplier uuid default null, p_from date default null, p_to date default null)
returns table (day date, supplier_id uuid, feature_type text, reason text, count bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select (r.minute at time zone 'UTC')::date, r.supplier_id, r.feature_type, r.reason, sum(r.count)::bigint
	from fpm.refusals r
	where (p_supplier is null or r.supplier_id = p_supplier)
		and r.minute >= coalesce(p_from::timestamp at time zone 'UTC', '-infinity') and r.minute < coalesce((p_to + 1)::timestamp at time zone 'UTC',
			'infinity')
	group by 1, 2, 3, 4
	order by 1, 2, 3, 4
$$;
