-- model_activate: whether calls of a model are admitted. What was admitted before goes on.
--
-- Parameters: p_provider, p_model
--             p_active
-- Returns:    false where there is no such model
-- Calls:      nothing
-- Tables:     writes public.ai_models
create or replace function fpm.model_activate(p_provider text, p_model text, p_active boolean) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	update public.ai_models m set is_active = p_active where m.provider = p_provider and m.model_name = p_model;
	return found;
end
$$;
