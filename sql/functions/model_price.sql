-- model_price: gives a model other prices, from the next admission on. What was admitted before is charged by the old ones, however late it ends.
--
-- Parameters: p_provider, p_model
--             p_input, p_cached, p_output  as model_add
-- Returns:    false where there is no such model
-- Calls:      fpm.token_price
-- Tables:     writes public.ai_models, and by its trigger fpm.model_prices
create or replace function fpm.model_price(p_provider text, p_model text, p_input numeric, p_cached numeric, p_output numeric) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	update public.ai_models m
	set cost_per_input_token = fpm.token_price(p_input), cost_per_cached_token = fpm.token_price(p_cached), cost_per_output_token = fpm.token_price(p_output)
	where m.provider = p_provider and m.model_name = p_model;
	return found;
end
$$;
