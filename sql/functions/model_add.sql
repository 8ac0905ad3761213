-- model_add: makes a model known, so that endpoints may name it.
--
-- Parameters: p_provider, p_model
--             p_input, p_cached, p_output  USD for a million tokens, of at most 6 places; cached null: as input
--             p_max_tokens                 the context's size, from 1; null: not published
--             p_streams
-- Returns:    false where there is a model of that name, of whichever provider
-- Calls:      fpm.token_price
-- Tables:     writes public.ai_models, and by its trigger fpm.model_prices
create or replace function fpm.model_add(p_provider text, p_model text, p_input numeric, p_cached numeric, p_output numeric, p_max_tokens integer,
	p_streams boolean) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	if p_max_tokens < 1 then
		raise exception 'a context must be of at least one token: %', p_max_tokens;
	end if;
	if exists (select from public.ai_models m where m.model_name = p_model) then -- before the trigger notes a price for it
		return false;
	end if;
	insert into public.ai_models (model_name, provider, cost_per_input_token, cost_per_cached_token, cost_per_output_token, max_tokens, supports_streaming)
	values (p_model, p_provider, fpm.token_price(p_input), fpm.token_price(p_cached), fpm.token_price(p_output), p_max_tokens, coalesce(p_streams, true));
	return true;
end
$$;
