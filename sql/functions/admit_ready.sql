-- admit_ready: admits those calls of a set that nothing stands in the way of, in one statement; says nothing of the others, which fpm.admit_calls decides. Most calls are of
-- the first kind, and cost a third of what they would there.
--
-- Nothing stands in the way of a call whose key is good, whose model has a price, whose supplier has called for this feature today, with room within all its limits for every
-- call of the set up to this one; and whose answer is neither kept nor being made by anybody. The daemon does not ask here for calls of an endpoint with a rate.
--
-- Every look-up stands in a sub-select of its own (`offset 0` keeps it one), by one index's columns and no other's, so that it goes by that index whatever the planner
-- believes of the table's size.
--
-- Parameters: p_calls  fpm.admit tells what each figure means; in the order of their lock keys, so that two such transactions never wait for each other in a circle
-- Returns:    a row for each call that is admitted, with its number in the array (from 1) as n
-- Calls:      fpm.lock_key, fpm.maker_key, fpm.first_limit
-- Tables:     reads fpm.api_keys, public.user_profiles, public.ai_usage_limits, public.ai_models, public.ai_response_cache; writes fpm.ai_usage_open, fpm.counters
create or replace function fpm.admit_ready(p_calls fpm.ready_call[])
returns table (n bigint, created_us bigint, price_input numeric, price_cached numeric, price_output numeric)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
	set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off set enable_material = off set jit = off
as $$
declare
	v_call fpm.ready_call;
	v_held boolean;
	v_begun text[] := '{}'; -- somebody is just beginning to make these answers
	v_now timestamptz;
	v_day date;
	v_month date;
begin
	foreach v_call in array p_calls loop
		v_held := pg_advisory_xact_lock(v_call.lock_key) is null;
	end loop;
	foreach v_call in array p_calls loop
		if v_call.cache_hash is not null and not pg_try_advisory_xact_lock(fpm.maker_key(v_call.cache_hash)) then
			v_begun := v_begun || v_call.cache_hash::text;
		end if;
	end loop;
	v_now := clock_timestamp();
	v_day := v_now at time zone 'UTC';
	v_month := date_trunc('month', v_day::timestamp);
	return query
	with fit as materialized (
		select q.n, q.id, u.id as supplier_id, u.organization_id, q.key_id, q.request_id, q.feature, q.endpoint, q.provider, q.model, q.prompt_estimate, q.max_tokens,
			q.cache_hash, q.cache_scope, q.cache_owner, q.cache_ttl_s, q.open_ms, q.worker, q.stream, m.price_id, m.price_input, m.price_cached, m.price_output,
			m.reserve, s.place
		from unnest(p_calls) with ordinality as q (id, lock_key, key_id, request_id, feature, endpoint, provider, model, prompt_max, prompt_estimate, max_tokens,
			cache_hash, cache_scope, cache_owner, cache_ttl_s, open_ms, worker, stream, rank, n)
		cross join lateral (select k.supplier_id from fpm.api_keys k where k.id = q.key_id and k.revoked_at is null offset 0) k
		cross join lateral (select u.id, u.organization_id, u.subscription_tier::text as tier from public.user_profiles u where u.id = k.supplier_id for key share skip locked) u
		left join lateral (
			select l.monthly_limit, l.daily_limit, l.cost_limit_cents from public.ai_usage_limits l where l.tier_name = u.tier and l.feature_type = q.feature offset 0) l on true
		cross join lateral (
			select m.price_id, m.cost_per_input_token as price_input, coalesce(m.cost_per_cached_token, m.cost_per_input_token) as price_cached,
				m.cost_per_output_token as price_output, 100 * (m.cost_per_input_token * q.prompt_max + m.cost_per_output_token * q.max_tokens) as reserve
			from public.ai_models m where m.model_name = q.model and m.provider = q.provider and m.is_active and m.price_id is not null offset 0) m
		cross join lateral (
			select s.ctid as place, s.day_count, s.month_count, s.month_cost + s.reserved as cost from fpm.counters s
			where s.supplier_id = u.id and s.feature_type = q.feature and s.day = v_day and s.month = v_month offset 0) s
		where q.lock_key = fpm.lock_key(u.id, q.feature)
			and (q.rank = 1 or coalesce(l.cost_limit_cents, 500) < 0)
			and fpm.first_limit(0, s.month_count + q.rank - 1, coalesce(l.monthly_limit, 10), s.day_count + q.rank - 1, coalesce(l.daily_limit, 2),
				s.cost + m.reserve, coalesce(l.cost_limit_cents, 500)) is null
			and (q.cache_hash is null
				or q.cache_owner is not distinct from case q.cache_scope when 'supplier' then u.id when 'organization' then u.organization_id end
				and (select a.expires_at from public.ai_response_cache a where a.prompt_hash = q.cache_hash) > v_now is not true
				and not exists (select from fpm.ai_usage_open o where o.cache_hash = q.cache_hash offset 0)
				and not q.cache_hash::text = any (v_begun))
	), opened as (
		insert into fpm.ai_usage_open (id, created_at, supplier_id, organization_id, key_id, feature_type, endpoint, provider, model_used, request_id,
			worker, stream, state, reserved_cents, price_id, expires_at, prompt_estimate, max_tokens, cache_hash, cache_scope, cache_owner, cache_ttl_s)
		select f.id, v_now, f.supplier_id, f.organization_id, f.key_id, f.feature, f.endpoint, f.provider, f.model, f.request_id,
			f.worker, f.stream, 'reserved', f.reserve, f.price_id, v_now + f.open_ms * interval '1 millisecond', f.prompt_estimate, f.max_tokens,
			f.cache_hash, f.cache_scope, f.cache_owner, f.cache_ttl_s
		from fit f
	), counted as (
		update fpm.counters s set day_count = s.day_count + g.calls, month_count = s.month_count + g.calls, reserved = s.reserved + g.reserve
		from (select f.place, count(*) as calls, sum(f.reserve) as reserve from fit f group by f.place) g
		where s.ctid = g.place
	)
	select f.n, (extract(epoch from v_now) * 1000000)::bigint, f.price_input, f.price_cached, f.price_output from fit f;
end
$$;
