-- first_limit: which of the limits refuses a call, named in their order.
--
-- Parameters: p_wait_us                   how long the rate asks to wait; none or less: not at all
--             p_month_count, p_day_count  calls of the month and day before this one
--             p_cost                      cents of the month, this call's reservation among them
--             p_monthly_limit, p_daily_limit, p_cost_limit  below zero: none
-- Returns:    rate_limit, monthly_limit, daily_limit, cost_limit; null: there is room
-- Calls:      nothing
-- Tables:     none
--
-- Left without a pinned search_path so that it is inlined into its caller; all it names is in pg_catalog.
create or replace function fpm.first_limit(p_wait_us bigint, p_month_count bigint, p_monthly_limit int, p_day_count bigint, p_daily_limit int,
	p_cost numeric, p_cost_limit numeric) returns text
language sql immutable parallel safe
as $$
	select case
		when p_wait_us > 0 then 'rate_limit'
		when p_monthly_limit >= 0 and p_month_count >= p_monthly_limit then 'monthly_limit'
		when p_daily_limit >= 0 and p_day_count >= p_daily_limit then 'daily_limit'
		when p_cost_limit >= 0 and p_cost > p_cost_limit then 'cost_limit'
	end
$$;
