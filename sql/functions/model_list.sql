-- model_list: every model with its prices.
--
-- Parameters: none
-- Returns:    rows by provider and name; prices in USD for a million tokens, null where it has none (such a model is refused)
-- Calls:      nothing
-- Tables:     reads public.ai_models
create or replace function fpm.model_list()
returns table (provider text, model_name text, active boolean, price_input numeric, price_cached numeric, price_output numeric, max_tokens integer,
	streams boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select m.provider, m.model_name, m.is_active, trim_scale(m.cost_per_input_token * 1000000), trim_scale(m.cost_per_cached_token * 1000000),
		trim_scale(m.cost_per_output_token * 1000000), m.max_tokens, m.supports_streaming
	from public.ai_models m
	order by m.provider, m.model_name
$$;
