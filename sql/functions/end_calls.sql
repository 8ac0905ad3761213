-- end_calls: open calls reach their end: each row goes out of the open part of the ledger into its month, charged what it used; the rest of its reservation is given
-- back, the day's sums are written, an answer is kept. The caller holds the advisory locks. A call ends once: whoever finds its row there and deletes it ends it, nobody
-- else.
--
-- Parameters: p_calls  state: settled, failed, aborted, void, expired; another ends nothing
-- Returns:    the rows that have ended. Not among them: a call that is not open; one whose supplier is being deleted, or locked otherwise, at this moment: it stays open
-- Calls:      fpm.add_usage, fpm.keep_answers
-- Tables:     reads public.user_profiles, fpm.model_prices; writes fpm.ai_usage_open, fpm.ai_usage_ended, fpm.counters, and what those write
create or replace function fpm.end_calls(p_calls fpm.settle_call[]) returns fpm.ended[]
language plpgsql volatile
as $$
declare
	v_most constant bigint := 1000000000000000; -- no sum of three overflows
	v_now constant timestamptz := clock_timestamp();
	v_ended fpm.ended[];
begin
	with standing as materialized (
		select u.id from public.user_profiles u
		where u.id in (select o.supplier_id from unnest(p_calls) e join fpm.ai_usage_open o on o.id = e.id)
		order by u.id for key share skip locked
	), opened as (
		delete from fpm.ai_usage_open o
		using unnest(p_calls) with ordinality as e (id, created_us, lock_key, state, prompt_tokens, cached_tokens, completion_tokens, estimated, duration_ms, error, answer, rank, n)
		where o.id = e.id and e.state in ('settled', 'failed', 'aborted', 'void', 'expired') and o.supplier_id in (select s.id from standing s)
		returning o.id, o.created_at, o.supplier_id, o.organization_id, o.key_id, o.feature_type, o.endpoint, o.provider, o.model_used, o.request_id, o.worker, o.stream,
			o.reserved_cents, o.price_id, o.cache_hash, o.cache_scope, o.cache_owner, o.cache_ttl_s, e.n,
			case when e.state = 'void' then 'failed' else e.state end as end_state,
			case when e.state = 'void' then 0 else least(greatest(coalesce(e.prompt_tokens, 0), 0), v_most) end as prompt,
			case when e.state = 'void' then 0 else least(greatest(coalesce(e.cached_tokens, 0), 0), greatest(coalesce(e.prompt_tokens, 0), 0), v_most) end as cached,
			case when e.state = 'void' then 0 else least(greatest(coalesce(e.completion_tokens, 0), 0), v_most) end as completion,
			coalesce(e.estimated, false) as by_estimate, least(greatest(e.duration_ms, 0), 2147483647)::int as took_ms,
			left(case when e.state = 'void' then coalesce(e.error, 'not_sent') else e.error end, 200) as error, e.answer
	), charged as materialized (
		select o.*, trim_scale(100 * (p.price_input * (o.prompt - o.cached) + p.price_cached * o.cached + p.price_output * o.completion)) as cost
		from opened o
		join fpm.model_prices p on p.id = o.price_id
	), written as (
		insert into fpm.ai_usage_ended (id, created_at, supplier_id, organization_id, key_id, feature_type, endpoint, provider, model_used, request_id, worker,
			stream, state, success, error_message, prompt_tokens, cached_tokens, completion_tokens, tokens_used, cost_cents, estimated, overrun,
			reserved_cents, price_id, request_duration_ms, settled_at)
		select c.id, c.created_at, c.supplier_id, c.organization_id, c.key_id, c.feature_type, c.endpoint, c.provider, c.model_used, c.request_id, c.worker,
			c.stream, c.end_state, c.end_state = 'settled', c.error, c.prompt, c.cached, c.completion, c.prompt + c.completion, c.cost, c.by_estimate,
			c.cost > c.reserved_cents, c.reserved_cents, c.price_id, c.took_ms, v_now
		from charged c
	)
	select array_agg(row(c.n, c.id, c.created_at, c.supplier_id, c.organization_id, c.feature_type, c.model_used, c.end_state, c.prompt, c.cached, c.completion, c.cost,
		c.reserved_cents, c.by_estimate, c.cost > c.reserved_cents, c.took_ms, 0, 0, c.cache_hash, c.cache_scope, c.cache_owner, c.cache_ttl_s,
		case when c.cache_hash is not null and c.cache_ttl_s > 0 and c.end_state = 'settled' then c.answer end)::fpm.ended)
	into v_ended
	from charged c;
	if v_ended is null then
		return '{}';
	end if;

	-- A counter that has gone on to another day or month owes nothing to these rows any more.
	update fpm.counters s
	set month_count = s.month_count - g.failed, month_cost = s.month_cost + g.cost, reserved = s.reserved - g.reserved, day_count = s.day_count - case when g.failed = 0 then 0
		else (select count(*) from unnest(v_ended) e where e.supplier_id = s.supplier_id and e.feature_type = s.feature_type and e.state = 'failed'
			and (e.created_at at time zone 'UTC')::date = s.day) end
	from (
		select e.supplier_id, e.feature_type, date_trunc('month', e.created_at at time zone 'UTC')::date as month, count(*) filter (where e.state = 'failed') as failed,
			sum(e.cost_cents) as cost, sum(e.reserved_cents) as reserved
		from unnest(v_ended) e
		group by 1, 2, 3) g
	where s.supplier_id = g.supplier_id and s.feature_type = g.feature_type and s.month = g.month;

	perform fpm.add_usage(v_ended);
	perform fpm.keep_answers(v_ended);
	return v_ended;
end
$$;
