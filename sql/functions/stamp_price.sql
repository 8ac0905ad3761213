-- stamp_price: a trigger of ai_models. Each change of a price makes a new version of it, which the rows charged from then on name.
--
-- Parameters: the model's row
-- Returns:    the row with price_id set, or null where it has no price
-- Calls:      nothing
-- Tables:     writes fpm.model_prices
create or replace function fpm.stamp_price() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	if tg_op = 'UPDATE' then
		new.updated_at := clock_timestamp();
		new.price_id := old.price_id; -- nobody sets it by hand
		if (new.cost_per_input_token, new.cost_per_cached_token, new.cost_per_output_token, new.model_name, new.provider)
			is not distinct from
			(old.cost_per_input_token, old.cost_per_cached_token, old.cost_per_output_token, old.model_name, old.provider) then
			return new;
		end if;
	end if;
	new.price_id := null;
	if new.cost_per_input_token is not null and new.cost_per_output_token is not null then
		insert into fpm.model_prices (provider, model_name, price_input, price_cached, price_output)
		values (new.provider, new.model_name, new.cost_per_input_token, coalesce(new.cost_per_cached_token, new.cost_per_input_token),
			new.cost_per_output_token)
		returning id into new.price_id;
	end if;
	return new;
end
$$;
