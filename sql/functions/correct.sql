-- correct: says what a call truly used, after its row ended. The row stays as it is; a new one, of state correction, holds the difference, charged by
-- the price of the row and on the day the correction is made. The same figures a second time change nothing.
--
-- Parameters: p_id, p_created_at  of the row
--             the tokens that it and its corrections shall come to
--             p_reason            for the new row's error_message
--             p_once              leave a row alone that has been corrected before
-- Returns:    the difference in cents; null where there is no such row, or it has not ended
-- Calls:      fpm.lock_key, fpm.new_row_id, fpm.add_usage
-- Tables:     reads fpm.model_prices, public.ai_usage_tracking; writes fpm.ai_usage_ended, fpm.counters, fpm.usage_daily
create or replace function fpm.correct(p_id uuid, p_created_at timestamptz, p_prompt_tokens bigint, p_cached_tokens bigint,
	p_completion_tokens bigint,
	p_reason text, p_once boolean default false) returns numeric
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_most constant bigint := 1000000000000000;
	v_row public.ai_usage_tracking;
	v_had record;
	v_price fpm.model_prices;
	v_prompt bigint := least(greatest(coalesce(p_prompt_tokens, 0), 0), v_most);
	v_cached bigint := least(greatest(coalesce(p_cached_tokens, 0), 0), v_prompt);
	v_completion bigint := least(greatest(coalesce(p_completion_tokens, 0), 0), v_most);
	v_cost numeric;
	v_now timestamptz;
	v_id uuid;
	v_day date;
begin
	select t.* into v_row from public.ai_usage_tracking t where t.id = p_id and t.created_at = p_created_at;
	if not found or v_row.state in ('reserved', 'cached', 'correction') or v_row.price_id is null then
		return null;
	end if;
	perform pg_advisory_xact_lock(fpm.lock_key(v_row.supplier_id, v_row.feature_type));
	select count(*) as rows, coalesce(sum(t.prompt_tokens), 0) as prompt, coalesce(sum(t.cached_tokens), 0) as cached,
		coalesce(sum(t.completion_tokens), 0) as completion
	into v_had
	from public.ai_usage_tracking t
	where t.supplier_id = v_row.supplier_id and t.created_at >= p_created_at and t.corrects = p_id and t.state = 'correction';
	v_prompt := v_prompt - v_row.prompt_tokens - v_had.prompt;
	v_cached := v_cached - v_row.cached_tokens - v_had.cached;
	v_completion := v_completion - v_row.completion_tokens - v_had.completion;
	if v_prompt = 0 and v_cached = 0 and v_completion = 0 or p_once and v_had.rows > 0 then
		return 0;
	end if;

	select p.* into v_price from fpm.model_prices p where p.id = v_row.price_id;
	v_cost := trim_scale(100 * (v_price.price_input * (v_prompt - v_cached) + v_price.price_cached * v_cached + v_price.price_output * v_completion));
	-- Not before the row, whatever the clock was set to since: corrections are looked for from the row's time on.
	select greatest(clock_timestamp(), p_created_at, max(c.day)::timestamp at time zone 'UTC') into v_now
	from fpm.counters c where c.supplier_id = v_row.supplier_id and c.feature_type = v_row.feature_type;
	v_day := (v_now at time zone 'UTC')::date;
	v_id := fpm.new_row_id(v_now);
	insert into fpm.ai_usage_ended (id, created_at, supplier_id, organization_id, feature_type, endpoint, provider, model_used, request_id, worker,
		state,
		price_id, prompt_tokens, cached_tokens, completion_tokens, tokens_used, cost_cents, error_message, settled_at, corrects)
	values (v_id, v_now, v_row.supplier_id, v_row.organization_id, v_row.feature_type, v_row.endpoint, v_row.provider, v_row.model_used,
		v_row.request_id, v_row.worker, 'correction', v_row.price_id, v_prompt, v_cached, v_completion, v_prompt + v_completion, v_cost,
		left(p_reason, 200), v_now, p_id);
	update fpm.counters c set month_cost = c.month_cost + v_cost
	where c.supplier_id = v_row.supplier_id and c.feature_type = v_row.feature_type and c.month = date_trunc('month', v_day::timestamp)::date;
	if not found then
		-- Its month is over: the new one begins with the correction.
		update fpm.counters c set day = v_day, day_count = 0, month = date_trunc('month', v_day::timestamp)::date, month_count = 0, month_cost = v_cost,
			reserved = 0
		where c.supplier_id = v_row.supplier_id and c.feature_type = v_row.feature_type;
	end if;
	perform fpm.add_usage(array[row(null, v_id, v_now, v_row.supplier_id, v_row.organization_id, v_row.feature_type, v_row.model_used, 'correction', v_prompt, v_cached,
		v_completion, v_cost, 0, false, false, null, 0, 0, null, null, null, null, null)::fpm.ended]);
	return v_cost;
end
$$;
