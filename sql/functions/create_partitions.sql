-- create_partitions: the ledger's partitions of this month (UTC) and of the next ones. Called by sweep, so that they are there long before they are
-- needed. Where it was not called for so long that a month went by without one, it makes that too, so that it can be archived like any other.
--
-- Parameters: p_ahead  how many months beyond this one
-- Returns:    how many were made
-- Calls:      nothing
-- Tables:     creates fpm.ai_usage_tracking_YYYY_MM; moves rows of such a month out of fpm.ai_usage_tracking_default
--
-- Attaching needs the default partition for itself for a moment. It gives up where it does not get that soon: the next sweep tries again.
create or replace function fpm.create_partitions(p_ahead int default 1) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set lock_timeout = '500ms'
as $$
declare
	v_month timestamp;
	v_from timestamptz;
	v_to timestamptz;
	v_name text;
	v_made int := 0;
begin
	foreach v_month in array array(
		select date_trunc('month', clock_timestamp() at time zone 'UTC') + i * interval '1 month' from generate_series(0, p_ahead) i
		union
		select date_trunc('month', d.created_at at time zone 'UTC') from fpm.ai_usage_tracking_default d
		where d.created_at >= 'epoch' and d.created_at < clock_timestamp()
		order by 1)
	loop
		v_from := v_month at time zone 'UTC';
		v_to := (v_from at time zone 'UTC' + interval '1 month') at time zone 'UTC';
		v_name := to_char(v_from at time zone 'UTC', '"ai_usage_tracking_"YYYY_MM');
		continue when to_regclass('fpm.' || v_name) is not null;
		begin
			if v_from <= clock_timestamp() then
				-- Rows of this month are being written into the default partition: who has chosen that must be done, and who is to choose must wait.
				lock table fpm.ai_usage_ended in share row exclusive mode;
			end if;
			lock table fpm.ai_usage_tracking_default in access exclusive mode;
			execute format('create table fpm.%I (like fpm.ai_usage_ended including all)', v_name);
			execute format('with moved as (delete from fpm.ai_usage_tracking_default d where d.created_at >= %L and d.created_at < %L returning d.*)
				insert into fpm.%I select * from moved', v_from, v_to, v_name);
			execute format('alter table fpm.ai_usage_ended attach partition fpm.%I for values from (%L) to (%L)', v_name, v_from, v_to);
			v_made := v_made + 1;
		exception when lock_not_available or duplicate_table then
			null;
		end;
	end loop;
	return v_made;
end
$$;
