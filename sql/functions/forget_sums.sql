-- forget_sums: a trigger of user_profiles. A supplier's daily sums go with it, so its part of what archived months are known to have held goes too.
--
-- Parameters: the supplier's row, before it is deleted
-- Returns:    the row
-- Calls:      nothing
-- Tables:     reads fpm.usage_daily; writes fpm.archived_months
create or replace function fpm.forget_sums() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	update fpm.archived_months a set row_count = a.row_count - d.rows, cost_cents = a.cost_cents - d.cost
	from (
		select date_trunc('month', u.day::timestamp)::date as month, sum(u.requests + u.corrections) as rows, sum(u.cost_cents) as cost
		from fpm.usage_daily u where u.supplier_id = old.id
		group by 1) d
	where a.month = d.month;
	return old;
end
$$;
