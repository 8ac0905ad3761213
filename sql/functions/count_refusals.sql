-- count_refusals: adds what a worker refused since it last said so to the counts per minute. Takes rows in one order, so that two workers never lock
-- crosswise.
--
-- Parameters: p_refusals  [{"supplier": uuid or null, "feature": "…", "reason": "daily_limit", "count": 3}, …]
-- Returns:    how many rows were counted; what makes no sense is left out
-- Calls:      nothing
-- Tables:     writes fpm.refusals
create or replace function fpm.count_refusals(p_refusals jsonb) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_rows int;
begin
	if p_refusals is null or jsonb_typeof(p_refusals) <> 'array' then
		return 0;
	end if;
	insert into fpm.refusals as r (supplier_id, minute, feature_type, reason, count)
	select i.supplier, date_trunc('minute', clock_timestamp()), i.feature, i.reason, sum(i.count)
	from (
		select case when e ->> 'supplier' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then (e ->> 'supplier')::uuid end as supplier,
			coalesce(left(e ->> 'feature', 200), '') as feature, coalesce(left(e ->> 'reason', 200), '') as reason,
			case when e ->> 'count' ~ '^[0-9]{1,9}$' then (e ->> 'count')::bigint else 0 end as count
		from jsonb_array_elements(p_refusals) e
		where jsonb_typeof(e) = 'object'
	) i
	where i.count > 0
	group by i.supplier, i.feature, i.reason
	order by i.supplier, i.feature, i.reason
	on conflict on constraint refusals_once_a_minute do update set count = r.count + excluded.count;
	get diagnostics v_rows = row_count;
	return v_rows;
end
$$;
