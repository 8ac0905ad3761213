-- lock_calls: takes the advisory locks of supplier and feature that a set of calls needs, in the order of their keys. An admission that is sure to be refused, by a
-- look that takes no lock, is left without: a flood of them holds up nobody.
--
-- Parameters: p_calls
-- Returns:    the numbers of the admissions whose lock is held
-- Calls:      fpm.lock_key
-- Tables:     reads fpm.api_keys, public.user_profiles, public.ai_usage_limits, fpm.counters, fpm.rate_buckets
create or replace function fpm.lock_calls(p_calls fpm.call[]) returns int[]
language plpgsql volatile
as $$
declare
	v_now constant timestamptz := clock_timestamp();
	v_day constant date := (v_now at time zone 'UTC')::date;
	v_month constant date := date_trunc('month', v_now at time zone 'UTC')::date;
	v_numbers int[];
	v_keys bigint[];
	v_key bigint;
	v_call fpm.call;
begin
	select array_agg(c.n), array_agg(fpm.lock_key(k.supplier_id, c.feature)) into v_numbers, v_keys
	from unnest(p_calls) with ordinality as c (kind, key_hash, request_id, feature, endpoint, provider, model, rate_count, rate_period_s, rate_burst,
		prompt_tokens_max, prompt_tokens_estimate, max_tokens, content_hash, cache_scope, cache_ttl_s, timeout_ms, grace_ms, worker, stream,
		ticket, state, prompt_tokens, cached_tokens, completion_tokens, estimated, duration_ms, error, content, n)
	join fpm.api_keys k on k.key_hash = c.key_hash and k.revoked_at is null
	join public.user_profiles u on u.id = k.supplier_id
	left join public.ai_usage_limits l on l.tier_name = u.subscription_tier::text and l.feature_type = c.feature
	left join fpm.counters s on s.supplier_id = k.supplier_id and s.feature_type = c.feature
	left join fpm.rate_buckets b on c.rate_count > 0 and c.rate_period_s > 0
		and b.supplier_id = k.supplier_id and b.feature_type = c.feature and b.endpoint = coalesce(c.endpoint, '')
	where c.kind = 'admit' and c.feature is not null
		and (s.day is distinct from v_day or s.day_count < coalesce(l.daily_limit, 2) or l.daily_limit < 0)
		and (s.month is distinct from v_month or s.month_count < coalesce(l.monthly_limit, 10) or l.monthly_limit < 0)
		and (b.full_at is null
			or extract(epoch from b.full_at - v_now) <= (case when c.rate_burst > 0 then c.rate_burst else c.rate_count end - 1)::float8 * c.rate_period_s / c.rate_count);

	foreach v_call in array p_calls loop
		if v_call.kind = 'settle' and v_call.ticket ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9a-f]{14}[.][0-9a-f]{16}$' then
			v_keys := v_keys || ('x' || right(v_call.ticket, 16))::bit(64)::bigint;
		end if;
	end loop;
	if cardinality(v_keys) > 1 then
		v_keys := array(select distinct k from unnest(v_keys) k order by k);
	end if;
	foreach v_key in array coalesce(v_keys, '{}') loop
		perform pg_advisory_xact_lock(v_key);
	end loop;
	return coalesce(v_numbers, '{}');
end
$$;
