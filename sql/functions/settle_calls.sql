-- settle_calls: ends the calls that the daemon has done with, of many suppliers, in one statement and so in one transaction. fpm.settle tells what each figure means. Never
-- raises for what a call holds; waits for no lock but the advisory ones, which it takes in the order of their keys.
--
-- A call that is not open any more changes nothing, but for one that has expired: whoever settles late knows better than the estimate that it expired with, so its
-- figures are set right by a correction, once.
--
-- Parameters: p_calls
-- Returns:    a row for each call, with its number in the array (from 1) as n
-- Calls:      fpm.end_calls, fpm.settle_late
-- Tables:     what those read and write
create or replace function fpm.settle_calls(p_calls fpm.settle_call[]) returns setof fpm.settlement
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
as $$
declare
	v_keys bigint[];
	v_key bigint;
	v_ended fpm.settlement[];
	c record;
begin
	v_keys := array(select distinct q.lock_key from unnest(p_calls) q where q.lock_key is not null order by 1);
	if cardinality(v_keys) > 0 then
		foreach v_key in array v_keys loop
			continue when pg_advisory_xact_lock(v_key) is null; -- never: an expression, which asks the executor for nothing
		end loop;
		v_ended := fpm.end_calls(p_calls => p_calls, p_apart => cardinality(v_keys) = cardinality(p_calls));
		return query select * from unnest(v_ended);
	end if;
	if cardinality(v_ended) = cardinality(p_calls) then
		return;
	end if;
	for c in
		select q.* from unnest(p_calls) with ordinality as q (id, created_us, lock_key, state, prompt, cached, completion, estimated, duration_ms, error, answer, rank, n)
		where not exists (select from unnest(v_ended) e where e.n = q.n)
	loop
		return query select * from fpm.settle_late(c.n::int, c.id, 'epoch'::timestamptz + c.created_us * interval '1 microsecond', c.state, c.prompt, c.cached, c.completion);
	end loop;
end
$$;
