-- settle_calls: ends the calls that the daemon has done with, of many suppliers, in one statement and so in one transaction. fpm.settle tells what each figure means. Never
-- raises for what a call holds; waits for no lock but the advisory ones, which it takes in the order of their keys.
--
-- A call that is not open any more changes nothing, but for one that has expired: whoever settles late knows better than the estimate that it expired with, so its
-- figures are set right by a correction, once.
--
-- Parameters: p_calls
-- Returns:    a row for each call, with its number in the array (from 1) as n
-- Calls:      fpm.end_calls, fpm.correct
-- Tables:     reads public.ai_usage_tracking; writes what those write
create or replace function fpm.settle_calls(p_calls fpm.settle_call[]) returns setof fpm.settlement
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
	set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off set enable_material = off set jit = off
as $$
declare
	v_ended fpm.ended[];
	c record;
begin
	perform pg_advisory_xact_lock(t.lock_key) from (select distinct q.lock_key from unnest(p_calls) q where q.lock_key is not null order by 1) t;
	v_ended := fpm.end_calls(p_calls);
	return query select e.n, true, e.state, e.cost_cents::text from unnest(v_ended) e;
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
