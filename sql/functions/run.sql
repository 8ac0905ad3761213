-- run: what the daemon asks for at one time, of many suppliers, admissions and settlements together, in one statement and so in one transaction: one flush of
-- the log serves them all, and what a statement costs is shared. Never raises for what a call holds; waits for no lock but the advisory ones, which it takes first
-- and in order, so that two such transactions never wait for each other in a circle.
--
-- The planner is told to go by index, one row after the other: it plans once, for sets of any size over tables that grow, and a plan made for empty tables
-- would scan them when they are full.
--
-- Parameters: p_calls  a JSON array of fpm.call
-- Returns:    a row for each call, with its number in the array (from 1) as n. What the members mean is told at fpm.admit and fpm.settle.
-- Calls:      fpm.lock_calls, fpm.settle_calls, fpm.admit_calls
-- Tables:     what those read and write
create or replace function fpm.run(p_calls jsonb) returns setof fpm.reply
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
	set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $$
declare
	v_calls fpm.call[] := array(select c from jsonb_populate_recordset(null::fpm.call, p_calls) c);
	v_locked int[] := fpm.lock_calls(v_calls);
begin
	if p_calls @> '[{"kind": "settle"}]' then
		return query select * from fpm.settle_calls(v_calls);
	end if;
	if p_calls @> '[{"kind": "admit"}]' then
		return query select * from fpm.admit_calls(v_calls, v_locked);
	end if;
end
$$;
