-- ledger_archive: takes a month that is over out of the ledger: its partition becomes a table of its own, to be dumped and dropped. Reports go on as
-- before, since they read the daily sums, which stay.
--
-- Parameters: p_month  any day of it
-- Returns:    the table's name; null where that month is not over, is archived already, or has a call that is open
-- Calls:      nothing
-- Tables:     reads fpm.ai_usage_open, fpm.ai_usage_ended; detaches fpm.ai_usage_tracking_YYYY_MM; writes fpm.archived_months
--
-- Detaching needs the ledger for itself for a moment, and raises (lock_not_available) where it does not get that within two seconds.
create or replace function fpm.ledger_archive(p_month date) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s'
as $$
declare
	v_month date := date_trunc('month', p_month::timestamp)::date;
	v_since timestamptz := v_month::timestamp at time zone 'UTC';
	v_until timestamptz := (v_month + interval '1 month') at time zone 'UTC';
	v_name text := 'fpm.' || to_char(v_month, '"ai_usage_tracking_"YYYY_MM');
begin
	if v_until > clock_timestamp()
		or not exists (select from pg_inherits i where i.inhrelid = to_regclass(v_name) and i.inhparent = 'fpm.ai_usage_ended'::regclass)
		or exists (select from fpm.ai_usage_open r where r.created_at >= v_since and r.created_at < v_until) then
		return null;
	end if;
	-- Counted before the lock is taken: nothing writes into a month that is over and has nothing open.
	insert into fpm.archived_months (month, table_name, row_count, cost_cents)
	select v_month, v_name, count(*), coalesce(trim_scale(sum(t.cost_cents)), 0)
	from fpm.ai_usage_ended t where t.created_at >= v_since and t.created_at < v_until
	on conflict do nothing;
	if not found then
		return null; -- somebody else has done it meanwhile
	end if;
	execute format('alter table fpm.ai_usage_ended detach partition %s', v_name);
	return v_name;
end
$$;
