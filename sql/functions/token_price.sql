-- token_price: a price as providers list it, as ai_models holds it. Raises for one that no cost could be made of exactly.
--
-- Parameters: p_million  USD for a million tokens, or null
-- Returns:    USD for a token, or null
-- Calls:      nothing
-- Tables:     none
create or replace function fpm.token_price(p_million numeric) returns numeric
language plpgsql immutable parallel safe
as $$
begin
	if p_million < 0 or p_million >= 1000000 or scale(trim_scale(p_million)) > 6 then -- a dollar a token: a figure that was meant for a million was given for one
		raise exception 'a price must be from 0 to 999999.999999 USD for a million tokens, with at most 6 places: %', p_million;
	end if;
	return trim_scale(p_million * 0.000001);
end
$$;
