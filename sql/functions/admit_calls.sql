-- admit_calls: decides the admissions that the daemon has waiting, of many suppliers, in one statement and so in one transaction: one flush of the log serves them all,
-- and what statements cost is shared. fpm.admit tells what each figure means. Never raises for what a call holds; waits for no lock but the advisory ones, which it
-- takes in the order of their keys, so that two such transactions never wait for each other in a circle.
--
-- It looks first, without a lock: who calls, what the limits are, what the model costs, whether there is an answer. A call that this look refuses is left without
-- a lock, so that a flood of them holds up nobody. The counters are read again under the locks, and decide.
--
-- The planner is told to go by index, one row after the other: it plans once, for sets of any size over tables that grow, and a plan made for empty tables
-- would scan them when they are full. Every look-up stands in a sub-select of its own (`offset 0` keeps it one), by one index's columns and no other's: a join, or a
-- choice of indexes, would be decided by what the planner believes of the tables' sizes.
--
-- Parameters: p_calls
-- Returns:    a row for each call, with its number in the array (from 1) as n
-- Calls:      fpm.lock_key, fpm.cache_key, fpm.first_limit, fpm.decide_calls, fpm.book_hits
-- Tables:     reads fpm.api_keys, public.user_profiles, public.ai_usage_limits, public.ai_models, public.ai_response_cache, fpm.ai_usage_open, fpm.counters, fpm.rate_buckets; writes what
--             decide_calls writes
create or replace function fpm.admit_calls(p_calls fpm.admit_call[]) returns setof fpm.admission
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
	set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off set enable_material = off set jit = off
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_day constant date := (v_now at time zone 'UTC')::date;
	v_month constant date := date_trunc('month', v_now at time zone 'UTC')::date;
	v_calls fpm.asked[];
	v_keys bigint[];
	v_key bigint;
	v_answers fpm.admission[];
	v_standing uuid[];
	v_counted date;          -- the last day of any counter
	v_wrong boolean; -- some are refused for who calls, or with what
	v_hit boolean;
	v_crowded boolean;       -- some have the same supplier and feature
	v_held numeric[];
begin
	v_calls := array(
		select row(q.n,
			case when u.id is null then 'unauthenticated' when m.price_id is null or q.feature is null then 'model_unknown' end,
			u.id, u.organization_id, k.id, fpm.lock_key(u.id, q.feature), q.rank,
			fpm.first_limit(
				case when r.capacity > 0 then (extract(epoch from b.full_at - v_now) * 1000000)::bigint + r.step_us - r.capacity * r.step_us end,
				case when s.month = v_month then s.month_count else 0 end, coalesce(l.monthly_limit, 10),
				case when s.day = v_day then s.day_count else 0 end, coalesce(l.daily_limit, 2),
				case when s.month = v_month then s.month_cost + s.reserved else 0 end + e.reserve, coalesce(l.cost_limit_cents, 500)) is not null,
			q.request_id, q.feature, coalesce(q.endpoint, ''), q.provider, q.model, q.worker, coalesce(q.stream, false),
			coalesce(l.monthly_limit, 10), coalesce(l.daily_limit, 2), coalesce(l.cost_limit_cents, 500), r.capacity, r.step_us,
			s.day, m.price_id, m.cost_per_input_token, coalesce(m.cost_per_cached_token, m.cost_per_input_token), m.cost_per_output_token,
			e.reserve, greatest(coalesce(q.prompt_estimate, 0), 0), greatest(coalesce(q.max_tokens, 0), 0),
			least(greatest(coalesce(q.timeout_ms, 0), 0), 604800000) + least(greatest(coalesce(q.grace_ms, 0), 0), 604800000),
			h.hash, h.scope, h.owner, q.ttl_s, q.waited_for, case when a.id is null then f.id end,
			a.id, a.model_used, a.answer_tokens, a.answer_cents)::fpm.asked
		from unnest(p_calls) with ordinality as q (key_hash, request_id, feature, endpoint, provider, model, rate_count, rate_period_s, rate_burst, prompt_max,
			prompt_estimate, max_tokens, content_hash, cache_scope, ttl_s, timeout_ms, grace_ms, worker, stream, waited_for, rank, n)
		left join lateral (select k.id, k.supplier_id from fpm.api_keys k where k.key_hash = q.key_hash and k.revoked_at is null offset 0) k on true
		left join lateral (select u.id, u.organization_id, u.subscription_tier::text as tier from public.user_profiles u where u.id = k.supplier_id offset 0) u on true
		left join lateral (
			select l.monthly_limit, l.daily_limit, l.cost_limit_cents from public.ai_usage_limits l where l.tier_name = u.tier and l.feature_type = q.feature offset 0) l on true
		left join lateral (
			select m.price_id, m.cost_per_input_token, m.cost_per_cached_token, m.cost_per_output_token
			from public.ai_models m where m.model_name = q.model and m.provider = q.provider and m.is_active
				and m.cost_per_input_token is not null and m.cost_per_output_token is not null offset 0) m on true
		left join lateral (
			select s.day, s.day_count, s.month, s.month_count, s.month_cost, s.reserved from fpm.counters s where s.supplier_id = u.id and s.feature_type = q.feature offset 0) s on true
		left join lateral (
			select b.full_at from fpm.rate_buckets b
			where q.rate_count > 0 and b.supplier_id = u.id and b.feature_type = q.feature and b.endpoint = coalesce(q.endpoint, '') offset 0) b on true
		cross join lateral (
			select case when q.rate_count > 0 and q.rate_period_s > 0
					then least(case when q.rate_burst > 0 then q.rate_burst else q.rate_count end, 100000) end as capacity,
				case when q.rate_count > 0 and q.rate_period_s > 0
					then (least(q.rate_period_s, 31622400) * 1000000::bigint + q.rate_count - 1) / q.rate_count end as step_us) r
		cross join lateral (
			select case when q.content_hash is null or q.cache_scope not in ('shared', 'organization', 'supplier') then null
					when q.cache_scope = 'organization' and u.organization_id is null then 'supplier' else q.cache_scope end as scope,
				case q.cache_scope when 'organization' then coalesce(u.organization_id, u.id) when 'supplier' then u.id end as owner) o
		cross join lateral (
			select o.scope, case when o.scope is not null then o.owner end as owner, fpm.cache_key(o.scope, o.owner, q.content_hash) as hash) h
		left join lateral (
			select a.id, a.model_used, a.answer_tokens, a.answer_cents, a.expires_at from public.ai_response_cache a where a.prompt_hash = h.hash offset 0) a on a.expires_at > v_now
		left join lateral (select w.id from fpm.ai_usage_open w where w.cache_hash = h.hash limit 1) f on true
		cross join lateral (
			select case when a.id is null then 100 * (m.cost_per_input_token * greatest(coalesce(q.prompt_max, 0), 0)
				+ m.cost_per_output_token * greatest(coalesce(q.max_tokens, 0), 0)) else 0 end as reserve) e);

	select array_agg(distinct c.lock_key order by c.lock_key) filter (where c.verdict is null and not c.hopeless),
		array_agg(distinct c.supplier_id) filter (where c.verdict is null and not c.hopeless), bool_or(c.verdict is not null), bool_or(c.hit_id is not null), bool_or(c.rank > 1),
		max(c.counted)
	into v_keys, v_standing, v_wrong, v_hit, v_crowded, v_counted
	from unnest(v_calls) c;
	if v_keys is not null then
		foreach v_key in array v_keys loop
			perform pg_advisory_xact_lock(v_key);
		end loop;
		-- Suppliers that are there to stay: whoever deletes one holds its row, and must not be waited for.
		v_standing := array(select u.id from public.user_profiles u where u.id = any (v_standing) order by u.id for key share skip locked);
	end if;
	v_now := greatest(clock_timestamp(), v_counted::timestamp at time zone 'UTC'); -- a clock set back opens no day twice
	if v_wrong then
		return query select (row(c.n, c.verdict, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)::fpm.admission).* from unnest(v_calls) c
		where c.verdict is not null;
	end if;
	if v_crowded then
		v_held := array(select sum(c.reserve) over (partition by c.lock_key, c.verdict is null order by c.rank rows unbounded preceding) from unnest(v_calls) c order by c.n);
	end if;
	if v_hit then
		v_answers := array(select d from fpm.decide_calls(v_calls, v_keys, v_standing, v_held, v_now) d);
		perform fpm.book_hits(v_calls, v_answers);
		return query select * from unnest(v_answers);
	else
		return query select * from fpm.decide_calls(v_calls, v_keys, v_standing, v_held, v_now);
	end if;
end
$$;
