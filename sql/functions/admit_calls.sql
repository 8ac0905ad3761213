-- admit_calls: decides the admissions of a set, one after the other, and writes what they change together. fpm.admit tells what each means.
--
-- Parameters: p_calls   the whole set
--             p_locked  the numbers of those whose lock is held; of the others it is known that they are refused
-- Returns:    a row for each admission
-- Calls:      fpm.lock_key, fpm.cache_key, fpm.room, fpm.new_row_id, fpm.ticket, fpm.book_admitted
-- Tables:     reads fpm.api_keys, public.user_profiles, public.ai_usage_limits, public.ai_models, public.ai_response_cache, fpm.counters,
--             fpm.rate_buckets; writes fpm.counters, fpm.rate_buckets, and what book_admitted writes
create or replace function fpm.admit_calls(p_calls fpm.call[], p_locked int[]) returns setof fpm.reply
language plpgsql volatile
as $$
declare
	c record;
	r fpm.reply;
	v_room record;
	v_key bigint;             -- supplier and feature of the calls at hand
	v_endpoint text;
	v_used fpm.counters;      -- as they are after the calls before
	v_full_at timestamptz;
	v_now timestamptz;
	v_reserve numeric;
	v_standing uuid[];        -- suppliers that are there to stay: whoever deletes one holds its row, and must not be waited for
	v_admitted fpm.admitted[] := '{}';
	v_counters fpm.counters[] := '{}';
	v_buckets fpm.rate_buckets[] := '{}';
begin
	v_standing := array(
		select u.id from public.user_profiles u
		where u.id in (select k.supplier_id from unnest(p_calls) a join fpm.api_keys k on k.key_hash = a.key_hash)
		order by u.id for key share skip locked);
	for c in
		select q.*, k.id as key_id, k.supplier_id, u.organization_id, fpm.lock_key(k.supplier_id, q.feature) as lock_key,
			row(k.supplier_id, u.organization_id, k.id, coalesce(l.monthly_limit, 10), coalesce(l.daily_limit, 2), coalesce(l.cost_limit_cents, 500),
				m.price_id, m.cost_per_input_token, coalesce(m.cost_per_cached_token, m.cost_per_input_token), m.cost_per_output_token)::fpm.caller as caller,
			m.price_id, m.cost_per_input_token as input, coalesce(m.cost_per_cached_token, m.cost_per_input_token) as cached, m.cost_per_output_token as output,
			s as counters, b.full_at, h.scope, h.owner, h.hash, a.id as hit_id, a.model_used as hit_model, a.response_content as hit_answer,
			a.answer_tokens as hit_tokens, a.answer_cents as hit_cents, coalesce(q.endpoint, '') as place,
			case when q.rate_count > 0 and q.rate_period_s > 0
				then least(case when q.rate_burst > 0 then q.rate_burst else q.rate_count end, 100000) end as capacity,
			case when q.rate_count > 0 and q.rate_period_s > 0
				then (least(q.rate_period_s, 31622400) * 1000000::bigint + q.rate_count - 1) / q.rate_count else 0 end as step_us
		from unnest(p_calls) with ordinality as q (kind, key_hash, request_id, feature, endpoint, provider, model, rate_count, rate_period_s, rate_burst,
			prompt_tokens_max, prompt_tokens_estimate, max_tokens, content_hash, cache_scope, cache_ttl_s, timeout_ms, grace_ms, worker, stream,
			ticket, state, prompt_tokens, cached_tokens, completion_tokens, estimated, duration_ms, error, content, n)
		left join fpm.api_keys k on k.key_hash = q.key_hash and k.revoked_at is null
		left join public.user_profiles u on u.id = k.supplier_id
		left join public.ai_usage_limits l on l.tier_name = u.subscription_tier::text and l.feature_type = q.feature
		left join public.ai_models m on m.model_name = q.model and m.provider = q.provider and m.is_active
			and m.cost_per_input_token is not null and m.cost_per_output_token is not null
		left join fpm.counters s on s.supplier_id = k.supplier_id and s.feature_type = q.feature
		left join fpm.rate_buckets b on q.rate_count > 0 and b.supplier_id = k.supplier_id and b.feature_type = q.feature and b.endpoint = coalesce(q.endpoint, '')
		left join lateral (
			select o.scope, o.owner, fpm.cache_key(o.scope, o.owner, q.content_hash) as hash
			from (select case when q.cache_scope = 'organization' and u.organization_id is null then 'supplier' else q.cache_scope end as scope,
				case when q.cache_scope = 'organization' then coalesce(u.organization_id, k.supplier_id) when q.cache_scope = 'supplier' then k.supplier_id end as owner) o
			where q.content_hash is not null and q.cache_scope in ('shared', 'organization', 'supplier')) h on true
		left join public.ai_response_cache a on a.prompt_hash = h.hash and a.expires_at > clock_timestamp()
		where q.kind = 'admit'
		order by lock_key, place, q.n
	loop
		r := null;
		r.n := c.n;
		if c.supplier_id is null or not c.supplier_id = any (v_standing) then
			r.verdict := 'unauthenticated';
			return next r;
			continue;
		end if;
		if c.price_id is null or c.feature is null then
			r.verdict := 'model_unknown';
			return next r;
			continue;
		end if;
		if v_key is distinct from c.lock_key then
			if v_used.supplier_id is not null then
				v_counters := v_counters || v_used;
			end if;
			v_used := null;
			v_endpoint := null;
			v_key := c.lock_key;
		end if;
		if v_endpoint is distinct from c.place then
			v_endpoint := c.place;
			v_full_at := c.full_at;
		end if;

		v_now := greatest(clock_timestamp(), (c.counters).day::timestamp at time zone 'UTC'); -- a clock set back does not open a day twice
		v_reserve := case when c.hit_id is null then 100 * (c.input * greatest(coalesce(c.prompt_tokens_max, 0), 0)
			+ c.output * greatest(coalesce(c.max_tokens, 0), 0)) else 0 end;
		v_room := fpm.room(v_now, c.caller, case when v_used.supplier_id is null then c.counters else v_used end, v_reserve,
			coalesce(c.capacity, 0), c.step_us, v_full_at);
		r.verdict := v_room.verdict;
		r.retry_after_s := v_room.retry_after_s;
		if r.verdict is null and not c.n = any (p_locked) then -- there was no room without the lock, and there is now: the next try finds it
			r.verdict := 'rate_limit';
			r.retry_after_s := 1;
		end if;
		r.rate_limit := c.capacity;
		r.rate_remaining := v_room.rate_remaining;
		r.rate_reset_s := v_room.rate_reset_s;
		r.day_left := v_room.day_left;
		r.month_left := v_room.month_left;
		if r.verdict is not null then
			return next r;
			continue;
		end if;

		v_used := v_room.used;
		v_used.supplier_id := c.supplier_id;
		v_used.feature_type := c.feature;
		if c.capacity is not null then
			v_full_at := v_room.full_at;
			v_buckets := v_buckets || row(c.supplier_id, c.feature, c.place, v_full_at)::fpm.rate_buckets;
		end if;
		r.verdict := case when c.hit_id is null then 'admitted' else 'cached' end;
		r.model := case when c.hit_id is null then c.model else c.hit_model end;
		r.answer := c.hit_answer;
		r.price_input := trim_scale(c.input);
		r.price_cached := trim_scale(c.cached);
		r.price_output := trim_scale(c.output);
		v_admitted := v_admitted || row(c.n, fpm.new_row_id(v_now), v_now, c.supplier_id, c.organization_id, c.key_id, c.feature, r.model,
			c.hit_id, c.hit_tokens, c.hit_cents, c.price_id, c.input, c.cached, c.output, v_reserve, c.hash, c.scope, c.owner)::fpm.admitted;
		r.ticket := fpm.ticket((v_admitted[cardinality(v_admitted)]).id, v_now, v_key);
		return next r;
	end loop;
	if v_used.supplier_id is not null then
		v_counters := v_counters || v_used;
	end if;

	if cardinality(v_admitted) = 0 then
		return;
	end if;
	insert into fpm.counters as t (supplier_id, feature_type, day, day_count, month, month_count, month_cost, reserved)
	select w.supplier_id, w.feature_type, w.day, w.day_count, w.month, w.month_count, w.month_cost, w.reserved from unnest(v_counters) w
	on conflict on constraint counters_pkey do update set day = excluded.day, day_count = excluded.day_count, month = excluded.month,
		month_count = excluded.month_count, month_cost = excluded.month_cost, reserved = excluded.reserved;
	if cardinality(v_buckets) > 0 then
		insert into fpm.rate_buckets as t (supplier_id, feature_type, endpoint, full_at)
		select w.supplier_id, w.feature_type, w.endpoint, max(w.full_at) from unnest(v_buckets) w group by 1, 2, 3
		on conflict on constraint rate_buckets_pkey do update set full_at = excluded.full_at;
	end if;
	perform fpm.book_admitted(p_calls, v_admitted);
end
$$;
