-- end_calls: open calls reach their end: each row goes out of the open part of the ledger into its month, charged what it used; the rest of its reservation is given
-- back, the day's sums are written, an answer is kept. The caller holds the advisory locks. A call ends once: whoever finds its row there and deletes it ends it, nobody
-- else.
--
-- All in one statement, since what a set costs is mostly what its statements cost to begin. Calls of one supplier and feature have to be added up before they are
-- written to the same rows; a set that has such, and an answer whose place in the cache is taken, are seen to by statements of their own.
--
-- A look-up is a sub-select of its own, or `= any (array[…])` on its index's first column, which no join can be made by but one that looks up each row by it. `=` would
-- leave the planner a choice: where it had last seen an empty table it would read all of the index for each call.
--
-- Parameters: p_calls  state: settled, failed, aborted, void, expired; another ends nothing
--             p_apart  no two of them have the same supplier and feature
-- Returns:    what has ended, with its number in p_calls. Not among them: a call that is not open; one whose supplier is being deleted, or locked otherwise, at this
--             moment: it stays open
-- Calls:      fpm.add_usage, fpm.keep_answers
-- Tables:     reads public.user_profiles, fpm.model_prices; writes fpm.ai_usage_open, fpm.ai_usage_ended, fpm.counters, fpm.usage_daily, public.ai_response_cache
create or replace function fpm.end_calls(p_calls fpm.settle_call[], p_apart boolean) returns fpm.settlement[]
language plpgsql volatile set plan_cache_mode = force_generic_plan
	set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off set enable_material = off set enable_memoize = off set jit = off
as $$
declare
	v_most constant bigint := 1000000000000000; -- no sum of three overflows
	v_now constant timestamptz := clock_timestamp();
	v_ended fpm.settlement[];
	v_rest fpm.ended[];
	v_taken boolean;
begin
	with opened as (
		delete from fpm.ai_usage_open o
		using (
			select q.n, q.id, case q.state when 'void' then 'failed' else q.state end as state,
				least(greatest(q.prompt_tokens, 0), case q.state when 'void' then 0 else v_most end) as prompt, greatest(q.cached_tokens, 0) as cached,
				least(greatest(q.completion_tokens, 0), case q.state when 'void' then 0 else v_most end) as completion,
				q.estimated, q.duration_ms, case q.state when 'void' then coalesce(q.error, 'not_sent') else q.error end as error, q.answer
			from unnest(p_calls) with ordinality as q (id, created_us, lock_key, state, prompt_tokens, cached_tokens, completion_tokens, estimated, duration_ms, error, answer, rank, n)
			where q.state in ('settled', 'failed', 'aborted', 'void', 'expired')
			offset 0) e
		where o.id = any (array[e.id])
			and (select u.id from public.user_profiles u where u.id = o.supplier_id for key share skip locked) is not null
		returning e.n, e.state, coalesce((
				select trim_scale(100 * (p.price_input * (e.prompt - least(e.cached, e.prompt)) + p.price_cached * least(e.cached, e.prompt) + p.price_output * e.completion))
				from fpm.model_prices p where p.id = o.price_id), 0) as cost,
			(o.created_at at time zone 'UTC')::date as day, o.supplier_id, o.organization_id, o.feature_type, o.model_used, o.reserved_cents, coalesce(e.estimated, false) as estimated,
			e.prompt, least(e.cached, e.prompt) as cached, e.completion, least(greatest(e.duration_ms, 0), 2147483647)::int as took_ms,
			o.id, case when e.state = 'settled' and o.cache_ttl_s > 0 and o.cache_hash is not null then e.answer end as answer, (
				select a.id from public.ai_response_cache a where a.prompt_hash = o.cache_hash) as entry,
			o.cache_hash, o.cache_scope, o.cache_owner, o.cache_ttl_s,
			o.created_at, o.key_id, o.endpoint, o.provider, o.request_id, o.worker, o.stream, o.price_id, left(e.error, 200) as error, p_apart as apart
	), written as (
		insert into fpm.ai_usage_ended (id, created_at, supplier_id, organization_id, key_id, feature_type, endpoint, provider, model_used, request_id, worker,
			stream, state, success, error_message, prompt_tokens, cached_tokens, completion_tokens, tokens_used, cost_cents, estimated, overrun,
			reserved_cents, price_id, request_duration_ms, settled_at)
		select c.id, c.created_at, c.supplier_id, c.organization_id, c.key_id, c.feature_type, c.endpoint, c.provider, c.model_used, c.request_id, c.worker,
			c.stream, c.state, c.state = 'settled', c.error, c.prompt, c.cached, c.completion, c.prompt + c.completion, c.cost, c.estimated,
			c.cost > c.reserved_cents, c.reserved_cents, c.price_id, c.took_ms, v_now
		from opened c
	), counted as (
		-- A counter that has gone on to another day or month owes nothing to these rows any more.
		update fpm.counters s
		set month_count = s.month_count - (c.state = 'failed')::int, day_count = s.day_count - (c.state = 'failed' and c.day = s.day)::int,
			month_cost = s.month_cost + c.cost, reserved = s.reserved - c.reserved_cents
		from opened c
		where c.apart and s.supplier_id = any (array[c.supplier_id]) and s.feature_type = c.feature_type and s.month <= c.day
	), summed as (
		insert into fpm.usage_daily as u (supplier_id, organization_id, day, feature_type, model_used, requests, failed, aborted, expired, estimated, overruns,
			prompt_tokens, cached_tokens, completion_tokens, tokens, cost_cents, duration_ms)
		select c.supplier_id, c.organization_id, c.day, c.feature_type, c.model_used, 1, (c.state = 'failed')::int, (c.state = 'aborted')::int, (c.state = 'expired')::int,
			c.estimated::int, (c.cost > c.reserved_cents)::int, c.prompt, c.cached, c.completion, c.prompt + c.completion, c.cost, c.took_ms
		from opened c
		where c.apart
		on conflict on constraint summed_once do update set requests = u.requests + 1, failed = u.failed + excluded.failed, aborted = u.aborted + excluded.aborted,
			expired = u.expired + excluded.expired, estimated = u.estimated + excluded.estimated, overruns = u.overruns + excluded.overruns,
			prompt_tokens = u.prompt_tokens + excluded.prompt_tokens, cached_tokens = u.cached_tokens + excluded.cached_tokens,
			completion_tokens = u.completion_tokens + excluded.completion_tokens, tokens = u.tokens + excluded.tokens, cost_cents = u.cost_cents + excluded.cost_cents,
			duration_ms = u.duration_ms + excluded.duration_ms
	), kept as (
		-- Whoever inserts or sweeps an entry holds this lock to the end of its transaction. An entry that is there is left to keep_answers: `on conflict` alone would wait
		-- for whoever is just counting a hit.
		insert into public.ai_response_cache (id, prompt_hash, feature_type, model_used, response_content, content_bytes, answer_tokens, answer_cents, expires_at,
			scope, organization_id, supplier_id)
		select c.id, c.cache_hash, c.feature_type, c.model_used, c.answer, octet_length(c.answer), c.prompt + c.completion, c.cost, v_now + c.cache_ttl_s * interval '1 second',
			c.cache_scope, case c.cache_scope when 'organization' then c.cache_owner end, case c.cache_scope when 'supplier' then c.cache_owner end
		from opened c
		where c.answer is not null and c.entry is null and pg_try_advisory_xact_lock(hashtextextended('cache:' || c.cache_hash, 0))
		on conflict (prompt_hash) do nothing
	)
	select array_agg(row(c.n, true, c.state, c.cost::text)::fpm.settlement), bool_or(c.answer is not null and c.entry is not null),
		array_agg(row(c.n, c.id, c.created_at, c.supplier_id, c.organization_id, c.feature_type, c.model_used, c.state, c.prompt, c.cached, c.completion, c.cost,
			c.reserved_cents, c.estimated, c.cost > c.reserved_cents, c.took_ms, 0, 0, c.cache_hash, c.cache_scope, c.cache_owner, c.cache_ttl_s,
			case when c.entry is not null then c.answer end)::fpm.ended) filter (where not p_apart or c.answer is not null and c.entry is not null)
	into v_ended, v_taken, v_rest
	from opened c;

	if not p_apart and v_rest is not null then
		update fpm.counters s
		set month_count = s.month_count - g.failed, month_cost = s.month_cost + g.cost, reserved = s.reserved - g.reserved, day_count = s.day_count - case when g.failed = 0 then 0
			else (select count(*) from unnest(v_rest) e where e.supplier_id = s.supplier_id and e.feature_type = s.feature_type and e.state = 'failed'
				and (e.created_at at time zone 'UTC')::date = s.day) end
		from (
			select e.supplier_id, e.feature_type, date_trunc('month', e.created_at at time zone 'UTC')::date as month, count(*) filter (where e.state = 'failed') as failed,
				sum(e.cost_cents) as cost, sum(e.reserved_cents) as reserved
			from unnest(v_rest) e
			group by 1, 2, 3) g
		where s.supplier_id = any (array[g.supplier_id]) and s.feature_type = g.feature_type and s.month = g.month;
		perform fpm.add_usage(v_rest);
	end if;
	if v_taken then
		perform fpm.keep_answers(v_rest);
	end if;
	return coalesce(v_ended, '{}');
end
$$;
