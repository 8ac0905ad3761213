-- end_row: a reserved row of the ledger reaches its end: what it cost is charged, the rest of the reservation given back, its day's sums written.
-- The caller holds the advisory lock of supplier and feature and has just deleted the reservation: that is what makes it happen once.
--
-- Parameters: p_row    the reservation
--             p_state  settled, failed, aborted, expired
--             the tokens used, whether estimated, the duration, the error's code
-- Returns:    the cost in cents, exact; null where the row is gone with its supplier
-- Calls:      fpm.add_usage
-- Tables:     writes public.ai_usage_tracking, fpm.counters, fpm.usage_daily
create or replace function fpm.end_row(
	p_row fpm.reservations, p_state text, p_prompt_tokens bigint, p_cached_tokens bigint, p_completion_tokens bigint, p_estimated boolean,
	p_duration_ms bigint, p_error text) returns numeric
language plpgsql volatile
as $$
declare
	v_most constant bigint := 1000000000000000; -- no sum of three overflows
	v_prompt bigint := least(greatest(coalesce(p_prompt_tokens, 0), 0), v_most);
	v_cached bigint := least(greatest(coalesce(p_cached_tokens, 0), 0), v_prompt);
	v_completion bigint := least(greatest(coalesce(p_completion_tokens, 0), 0), v_most);
	v_cost numeric;
	v_organization uuid;
	v_day date := (p_row.created_at at time zone 'UTC')::date;
	v_back int := (p_state = 'failed')::int; -- its place of the day and the month
	v_duration int := least(greatest(p_duration_ms, 0), 2147483647);
begin
	v_cost := trim_scale(100 * (p_row.price_input * (v_prompt - v_cached) + p_row.price_cached * v_cached + p_row.price_output * v_completion));

	update public.ai_usage_tracking t
	set state = p_state, success = (p_state = 'settled'), error_message = left(p_error, 200), prompt_tokens = v_prompt, cached_tokens = v_cached,
		completion_tokens = v_completion, tokens_used = v_prompt + v_completion, cost_cents = v_cost, estimated = coalesce(p_estimated, false),
		overrun = (v_cost > p_row.reserved_cents), request_duration_ms = v_duration, settled_at = clock_timestamp()
	where t.id = p_row.id and t.created_at = p_row.created_at
	returning t.organization_id into v_organization;
	if not found then
		return null;
	end if;

	-- A counter that has gone on to another day or month owes nothing to this row any more.
	update fpm.counters c
	set day_count = c.day_count - case when c.day = v_day then v_back else 0 end,
		month_count = c.month_count - v_back, month_cost = c.month_cost + v_cost, reserved = c.reserved - p_row.reserved_cents
	where c.supplier_id = p_row.supplier_id and c.feature_type = p_row.feature_type
		and c.month = date_trunc('month', v_day::timestamp)::date;

	perform fpm.add_usage(p_supplier => p_row.supplier_id, p_organization => v_organization, p_day => v_day, p_feature => p_row.feature_type,
		p_model => p_row.model_used, p_state => p_state, p_prompt_tokens => v_prompt, p_cached_tokens => v_cached, p_completion_tokens => v_completion,
			p_cost_cents => v_cost,
		p_estimated => coalesce(p_estimated, false), p_overrun => v_cost > p_row.reserved_cents, p_duration_ms => v_duration);
	return v_cost;
end
$$;
