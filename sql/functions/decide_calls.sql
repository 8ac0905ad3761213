-- decide_calls: decides admissions, and writes what they change. The decision itself: whoever calls it holds the advisory locks.
--
-- The calls of a set came at the same time, so any order of them is as good as another. Each is asked whether it fits with all those of its supplier and feature before
-- it; those that do are admitted. One that does not is refused where it would not fit alone either; where it would, it is to be asked for again: what stood before it
-- is then in the counters, or was refused and is gone. So is one whose answer was in the cache, and is no more.
--
-- Parameters: p_calls     as fpm.admit_calls found them
--             p_keys      the advisory locks that are held; a call without is refused
--             p_standing  suppliers whom nobody deletes meanwhile; a call of another is refused: its supplier has gone, or somebody holds its row (busy)
--             p_held      by number, the reservations of all calls of the same supplier and feature up to this one, cents; null: each is the only one
--             p_now       the moment
-- Returns:    a row for each call
-- Calls:      fpm.first_limit, fpm.maker_key, fpm.new_row_id
-- Tables:     reads public.user_profiles, public.ai_response_cache; writes fpm.ai_usage_open, fpm.counters, fpm.rate_buckets
create or replace function fpm.decide_calls(p_calls fpm.asked[], p_keys bigint[], p_standing uuid[], p_held numeric[], p_now timestamptz) returns setof fpm.admission
language plpgsql volatile
as $$
declare
	v_day constant date := (p_now at time zone 'UTC')::date;
	v_month constant date := date_trunc('month', v_day::timestamp)::date;
	v_day_s constant int := ceil(extract(epoch from v_day + interval '1 day' - (p_now at time zone 'UTC'))); -- until it is over
	v_month_s constant int := ceil(extract(epoch from v_month + interval '1 month' - (p_now at time zone 'UTC')));
	v_us constant bigint := extract(epoch from p_now) * 1000000;
	v_id constant text := left(fpm.new_row_id(p_now)::text, 15); -- what all ids of this moment have in common
	-- Whoever begins to make an answer holds this lock to the end of its transaction. Not waited for: what is locked is being begun. It is another than that of keeping
	-- answers (keep_answers), which it must not be in the way of; and a maker's row goes in the transaction that keeps his answer, so one or the other is always seen.
	v_mine int[] := array(
		select q.n from (
			select min(c.n) as n, c.cache_hash from unnest(p_calls) c
			where c.cache_hash is not null and c.hit_id is null and c.maker is null and c.waited_for is null
			group by c.cache_hash order by 2) q
		where pg_try_advisory_xact_lock(fpm.maker_key(q.cache_hash)));
begin
	return query
	with called as (
		select q.n, q.supplier_id, q.organization_id, q.key_id, q.lock_key, q.rank, q.request_id, q.feature, q.endpoint, q.provider, q.model, q.worker, q.stream,
			q.monthly_limit, q.daily_limit, q.cost_limit, q.capacity, q.step_us, q.price_id, q.price_input, q.price_cached, q.price_output, q.reserve,
			q.prompt_estimate, q.max_tokens, q.open_ms, q.cache_hash, q.cache_scope, q.cache_owner, q.cache_ttl_s, q.hit_id, q.hit_model,
			coalesce(q.lock_key = any (p_keys), false) as locked,
			q.lock_key = any (p_keys) and not q.supplier_id = any (p_standing) as gone,
			q.hit_id is null and q.cache_hash is not null and (a.id is not null or case
				when q.maker is not null then q.maker = coalesce(q.waited_for, q.maker)
				else q.waited_for is null and (not q.n = any (v_mine) or f.id is not null) end) as waits,
			coalesce(q.maker, f.id) as maker,
			q.hit_id is not null and not exists (select from public.ai_response_cache a where a.id = q.hit_id offset 0) as lost, -- its answer went since the look
			case when s.day = v_day then s.day_count else 0 end as day_before,
			case when s.month = v_month then s.month_count else 0 end as month_before,
			case when s.month = v_month then s.month_cost else 0 end as cost_before,
			case when s.month = v_month then s.reserved else 0 end as held_before,
			coalesce(p_held[q.n], q.reserve) as held_with,
			greatest(coalesce(extract(epoch from b.full_at - p_now) * 1000000, 0), 0)::bigint as backlog -- microseconds till the bucket is full
		from unnest(p_calls) q
		left join lateral (
			select s.day, s.day_count, s.month, s.month_count, s.month_cost, s.reserved from fpm.counters s
			where s.supplier_id = q.supplier_id and s.feature_type = q.feature offset 0) s on true
		left join lateral (
			select b.full_at from fpm.rate_buckets b
			where q.capacity > 0 and b.supplier_id = q.supplier_id and b.feature_type = q.feature and b.endpoint = q.endpoint offset 0) b on true
		left join lateral (select o.id from fpm.ai_usage_open o where q.hit_id is null and q.maker is null and o.cache_hash = q.cache_hash limit 1) f on true
		left join lateral (
			select a.id, a.expires_at from public.ai_response_cache a where q.hit_id is null and a.prompt_hash = q.cache_hash offset 0) a on a.expires_at > p_now -- made since the look
		where q.verdict is null
		offset 0
	), decided as materialized (
		select q.*, q.locked and not q.waits and not q.gone and not q.lost and fpm.first_limit(q.backlog + (q.rank - q.capacity) * q.step_us, q.month_before + q.rank - 1,
				q.monthly_limit, q.day_before + q.rank - 1, q.daily_limit, q.cost_before + q.held_before + q.held_with, q.cost_limit) is null as fits,
			fpm.first_limit(q.backlog + (1 - q.capacity) * q.step_us, q.month_before, q.monthly_limit, q.day_before, q.daily_limit,
				q.cost_before + q.held_before + q.reserve, q.cost_limit) as limited,
			(v_id || substr(gen_random_uuid()::text, 16))::uuid as id
		from called q
	), opened as (
		insert into fpm.ai_usage_open (id, created_at, supplier_id, organization_id, key_id, feature_type, endpoint, provider, model_used, request_id,
			worker, stream, state, reserved_cents, price_id, expires_at, prompt_estimate, max_tokens, cache_hash, cache_scope, cache_owner, cache_ttl_s)
		select d.id, p_now, d.supplier_id, d.organization_id, d.key_id, d.feature, d.endpoint, d.provider, d.model, d.request_id,
			d.worker, d.stream, 'reserved', d.reserve, d.price_id, p_now + d.open_ms * interval '1 millisecond', d.prompt_estimate, d.max_tokens,
			d.cache_hash, d.cache_scope, d.cache_owner, d.cache_ttl_s
		from decided d
		where d.fits and d.hit_id is null
	), used as (
		insert into fpm.counters as s (supplier_id, feature_type, day, day_count, month, month_count, month_cost, reserved)
		select d.supplier_id, d.feature, v_day, d.day_before + count(*), v_month, d.month_before + count(*), d.cost_before, d.held_before + sum(d.reserve)
		from decided d
		where d.fits
		group by d.supplier_id, d.feature, d.day_before, d.month_before, d.cost_before, d.held_before
		on conflict on constraint counters_pkey do update set day = excluded.day, day_count = excluded.day_count, month = excluded.month,
			month_count = excluded.month_count, month_cost = excluded.month_cost, reserved = excluded.reserved
	), filled as (
		insert into fpm.rate_buckets as b (supplier_id, feature_type, endpoint, full_at)
		select d.supplier_id, d.feature, d.endpoint, p_now + (d.backlog + count(*) * d.step_us) * interval '1 microsecond'
		from decided d
		where d.fits and d.capacity > 0
		group by d.supplier_id, d.feature, d.endpoint, d.backlog, d.step_us
		on conflict on constraint rate_buckets_pkey do update set full_at = excluded.full_at
	)
	select d.n,
		case
			when d.fits and d.hit_id is null then 'admitted'
			when d.fits then 'cached'
			when d.gone then case when exists (select from public.user_profiles u where u.id = d.supplier_id offset 0) then 'busy' else 'unauthenticated' end
			when d.limited is not null then d.limited
			when not d.locked then 'rate_limit' -- there was no room without the lock, and there is now: the next try finds it
			when d.waits then 'in_flight'
			else 'again' end,
		case when d.fits then d.id end, case when d.fits then v_us end, case when d.fits then d.lock_key end,
		case
			when d.fits or d.gone or d.limited is null and d.locked then null
			when d.limited is null then 1
			else greatest(
				case when d.backlog + (1 - d.capacity) * d.step_us > 0 then least((d.backlog + (1 - d.capacity) * d.step_us + 999999) / 1000000, 2147483647) end,
				case when d.daily_limit >= 0 and d.day_before >= d.daily_limit then v_day_s end,
				case when d.monthly_limit >= 0 and d.month_before >= d.monthly_limit
					or d.cost_limit >= 0 and d.cost_before + d.held_before + d.reserve > d.cost_limit then v_month_s end)::int end,
		d.capacity,
		(greatest(d.capacity * d.step_us - d.backlog - case when d.fits then d.rank * d.step_us else 0 end, 0) / d.step_us)::int,
		case when d.capacity > 0 then least((d.backlog + case when d.fits then d.rank * d.step_us else 0 end + 999999) / 1000000, 2147483647)::int end,
		case when d.daily_limit >= 0 then greatest(d.daily_limit - d.day_before - case when d.fits then d.rank else 0 end, 0) end,
		case when d.monthly_limit >= 0 then greatest(d.monthly_limit - d.month_before - case when d.fits then d.rank else 0 end, 0) end,
		case when d.fits then coalesce(d.hit_model, d.model) end,
		case when d.fits then trim_scale(d.price_input)::text end,
		case when d.fits then trim_scale(d.price_cached)::text end,
		case when d.fits then trim_scale(d.price_output)::text end,
		case when d.fits and d.hit_id is not null then (select a.response_content from public.ai_response_cache a where a.id = d.hit_id) end,
		d.maker::text
	from decided d;
end
$$;
