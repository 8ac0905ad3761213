-- settle_calls: ends the calls of a set that were admitted before, each with what it truly used, and writes what they change together. fpm.settle tells what
-- each means. The caller holds the advisory locks of all of them.
--
-- Parameters: p_calls  the whole set
-- Returns:    a row for each settlement
-- Calls:      fpm.renew_answer, fpm.settle_late
-- Tables:     writes fpm.reservations, public.ai_usage_tracking, fpm.counters, fpm.usage_daily, public.ai_response_cache
create or replace function fpm.settle_calls(p_calls fpm.call[]) returns setof fpm.reply
language plpgsql volatile
as $$
declare
	v_most constant bigint := 1000000000000000; -- no sum of three overflows
	v_now constant timestamptz := clock_timestamp();
	v_ended int[] := '{}';
	c record;
	r fpm.reply;
begin
	for c in
		with asked as materialized (
			select q.n, left(q.ticket, 36)::uuid as id, case when q.state = 'void' then 'failed' else q.state end as state,
				case when q.state = 'void' then 0 else least(greatest(coalesce(q.prompt_tokens, 0), 0), v_most) end as prompt,
				case when q.state = 'void' then 0 else least(greatest(coalesce(q.cached_tokens, 0), 0), greatest(coalesce(q.prompt_tokens, 0), 0), v_most) end as cached,
				case when q.state = 'void' then 0 else least(greatest(coalesce(q.completion_tokens, 0), 0), v_most) end as completion,
				coalesce(q.estimated, false) as estimated, least(greatest(q.duration_ms, 0), 2147483647)::int as duration_ms,
				left(case when q.state = 'void' then coalesce(q.error, 'not_sent') else q.error end, 200) as error,
				case when q.state = 'settled' then q.content end as content
			from unnest(p_calls) with ordinality as q (kind, key_hash, request_id, feature, endpoint, provider, model, rate_count, rate_period_s, rate_burst,
				prompt_tokens_max, prompt_tokens_estimate, max_tokens, content_hash, cache_scope, cache_ttl_s, timeout_ms, grace_ms, worker, stream,
				ticket, state, prompt_tokens, cached_tokens, completion_tokens, estimated, duration_ms, error, content, n)
			where q.kind = 'settle' and q.state in ('settled', 'failed', 'aborted', 'void')
				and q.ticket ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9a-f]{14}[.][0-9a-f]{16}$'
		), open as (
			-- Two settlements of one row: it is deleted, and so returned, once.
			delete from fpm.reservations o using asked a where o.id = a.id
			returning o.*, a.n, a.state, a.prompt, a.cached, a.completion, a.estimated, a.duration_ms, a.error, a.content,
				trim_scale(100 * (o.price_input * (a.prompt - a.cached) + o.price_cached * a.cached + o.price_output * a.completion)) as cost,
				(o.created_at at time zone 'UTC')::date as day
		), ended as (
			update public.ai_usage_tracking t
			set state = o.state, success = (o.state = 'settled'), error_message = o.error, prompt_tokens = o.prompt, cached_tokens = o.cached,
				completion_tokens = o.completion, tokens_used = o.prompt + o.completion, cost_cents = o.cost, estimated = o.estimated,
				overrun = (o.cost > o.reserved_cents), request_duration_ms = o.duration_ms, settled_at = v_now
			from open o
			where t.id = o.id and t.created_at = o.created_at
			returning o.*, t.organization_id
		), counted as (
			-- A counter that has gone on to another day or month owes nothing to these rows any more.
			update fpm.counters s
			set day_count = s.day_count - g.day_back, month_count = s.month_count - g.month_back, month_cost = s.month_cost + g.cost,
				reserved = s.reserved - g.reserved
			from (
				select e.supplier_id, e.feature_type, count(*) filter (where e.state = 'failed' and e.day = h.day) as day_back,
					count(*) filter (where e.state = 'failed') as month_back, sum(e.cost) as cost, sum(e.reserved_cents) as reserved
				from ended e
				join fpm.counters h on h.supplier_id = e.supplier_id and h.feature_type = e.feature_type and h.month = date_trunc('month', e.day::timestamp)::date
				group by 1, 2) g
			where s.supplier_id = g.supplier_id and s.feature_type = g.feature_type
		), summed as (
			insert into fpm.usage_daily as u (supplier_id, organization_id, day, feature_type, model_used, requests, failed, aborted, estimated, overruns,
				prompt_tokens, cached_tokens, completion_tokens, tokens, cost_cents, duration_ms)
			select e.supplier_id, e.organization_id, e.day, e.feature_type, e.model_used, count(*), count(*) filter (where e.state = 'failed'),
				count(*) filter (where e.state = 'aborted'), count(*) filter (where e.estimated), count(*) filter (where e.cost > e.reserved_cents),
				sum(e.prompt), sum(e.cached), sum(e.completion), sum(e.prompt + e.completion), sum(e.cost), sum(coalesce(e.duration_ms, 0))
			from ended e
			group by 1, 2, 3, 4, 5
			on conflict on constraint summed_once do update set requests = u.requests + excluded.requests, failed = u.failed + excluded.failed,
				aborted = u.aborted + excluded.aborted, estimated = u.estimated + excluded.estimated, overruns = u.overruns + excluded.overruns,
				prompt_tokens = u.prompt_tokens + excluded.prompt_tokens, cached_tokens = u.cached_tokens + excluded.cached_tokens,
				completion_tokens = u.completion_tokens + excluded.completion_tokens, tokens = u.tokens + excluded.tokens,
				cost_cents = u.cost_cents + excluded.cost_cents, duration_ms = u.duration_ms + excluded.duration_ms
		), kept as materialized (
			-- Whoever inserts or sweeps an entry holds this lock to the end of its transaction. Looking first, and inserting only where nothing is there,
			-- meets no unfinished transaction: `on conflict` alone would wait for one that is just counting a hit.
			select e.*
			from ended e
			where e.content is not null and e.cache_hash is not null and e.cache_ttl_s > 0
				and not exists (select from public.ai_response_cache a where a.prompt_hash = e.cache_hash)
				and pg_try_advisory_xact_lock(hashtextextended('cache:' || e.cache_hash, 0))
		), stored as (
			insert into public.ai_response_cache (prompt_hash, feature_type, model_used, response_content, answer_tokens, answer_cents, expires_at,
				scope, organization_id, supplier_id)
			select k.cache_hash, k.feature_type, k.model_used, k.content, k.prompt + k.completion, k.cost, v_now + k.cache_ttl_s * interval '1 second',
				k.cache_scope, case when k.cache_scope = 'organization' then k.cache_owner end, case when k.cache_scope = 'supplier' then k.cache_owner end
			from kept k
			on conflict (prompt_hash) do nothing
		)
		select e.n, e.state, e.cost, e.content is not null and e.cache_hash is not null and not exists (select from kept k where k.n = e.n) as renews,
			e.cache_hash, e.cache_ttl_s, e.model_used, e.prompt + e.completion as tokens
		from ended e
	loop
		r := null;
		r.n := c.n;
		r.done := true;
		r.state := c.state;
		r.cost_cents := c.cost;
		v_ended := v_ended || c.n;
		if c.renews then
			perform fpm.renew_answer(c.cache_hash, c.cache_ttl_s, c.model_used, (p_calls[c.n]).content, c.tokens, c.cost);
		end if;
		return next r;
	end loop;

	for c in
		select i.n from generate_subscripts(p_calls, 1) as i (n) where (p_calls[i.n]).kind = 'settle' and not i.n = any (v_ended)
	loop
		r := fpm.settle_late(p_calls[c.n]);
		r.n := c.n;
		return next r;
	end loop;
end
$$;
