-- room: is there room for one more call? The decision itself: it reads no table and takes no clock, so whoever calls it must hold what makes its
-- figures true.
--
-- Parameters: p_now       the moment
--             p_caller    the limits
--             p_used      the counter as it is; null fields: there is none yet
--             p_reserve   cents that the call may cost at most
--             p_capacity, p_step_us, p_full_at  the rate: what its bucket holds (0: no rate), how long one place takes to come back, when it is full
--             again
-- Returns:    verdict: null where there is room, else the first limit in the way: rate_limit, monthly_limit, daily_limit, cost_limit.
--             retry_after_s: when the last of all that are in the way lets go. day_left, month_left: null is unlimited.
--             used, full_at: counter and bucket as they are after the call; where there is no room, of the day and month that p_now is in, else
--             unchanged.
-- Calls:      nothing
-- Tables:     none
create or replace function fpm.room(p_now timestamptz, p_caller fpm.caller, p_used fpm.counters, p_reserve numeric,
	p_capacity int, p_step_us bigint, p_full_at timestamptz,
	out verdict text, out retry_after_s int, out rate_remaining int, out rate_reset_s int, out day_left bigint, out month_left bigint,
	out used fpm.counters, out full_at timestamptz)
language plpgsql immutable
as $$
declare
	v_utc timestamp := p_now at time zone 'UTC';
	v_month timestamp := date_trunc('month', v_utc);
	v_backlog bigint := greatest(coalesce(extract(epoch from p_full_at - p_now) * 1000000, 0), 0); -- microseconds till the bucket is full
	v_wait bigint := v_backlog + p_step_us - p_capacity * p_step_us;
begin
	used := p_used;
	if used.day is distinct from v_utc::date then
		used.day := v_utc;
		used.day_count := 0;
	end if;
	if used.month is distinct from v_month::date then
		used.month := v_month;
		used.month_count := 0;
		used.month_cost := 0;
		used.reserved := 0;
	end if;

	if p_capacity > 0 and v_wait > 0 then
		verdict := 'rate_limit';
		retry_after_s := least((v_wait + 999999) / 1000000, 2147483647);
	end if;
	if p_caller.monthly_limit >= 0 and used.month_count >= p_caller.monthly_limit then
		verdict := coalesce(verdict, 'monthly_limit');
		retry_after_s := greatest(retry_after_s, ceil(extract(epoch from v_month + interval '1 month' - v_utc)));
	end if;
	if p_caller.daily_limit >= 0 and used.day_count >= p_caller.daily_limit then
		verdict := coalesce(verdict, 'daily_limit');
		retry_after_s := greatest(retry_after_s, ceil(extract(epoch from date_trunc('day', v_utc) + interval '1 day' - v_utc)));
	end if;
	if p_caller.cost_limit >= 0 and used.month_cost + used.reserved + p_reserve > p_caller.cost_limit then
		verdict := coalesce(verdict, 'cost_limit');
		retry_after_s := greatest(retry_after_s, ceil(extract(epoch from v_month + interval '1 month' - v_utc)));
	end if;

	if verdict is null then
		v_backlog := v_backlog + p_step_us;
		used.day_count := used.day_count + 1;
		used.month_count := used.month_count + 1;
		used.reserved := used.reserved + p_reserve;
	end if;
	if p_capacity > 0 then
		full_at := p_now + v_backlog * interval '1 microsecond';
		rate_remaining := greatest(p_capacity * p_step_us - v_backlog, 0) / p_step_us;
		rate_reset_s := least((v_backlog + 999999) / 1000000, 2147483647);
	end if;
	if p_caller.daily_limit >= 0 then
		day_left := greatest(p_caller.daily_limit - used.day_count, 0);
	end if;
	if p_caller.monthly_limit >= 0 then
		month_left := greatest(p_caller.monthly_limit - used.month_count, 0);
	end if;
end
$$;
