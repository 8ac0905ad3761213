-- supplier_set_tier: moves a supplier to another tier, from its next call on.
--
-- Parameters: p_supplier, p_tier
-- Returns:    whether there is such a supplier
-- Calls:      nothing
-- Tables:     writes public.user_profiles
create or replace function fpm.supplier_set_tier(p_supplier uuid, p_tier text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_rows int;
begin
	execute format('update public.user_profiles set subscription_tier = %L where id = %L', p_tier, p_supplier);
	get diagnostics v_rows = row_count;
	return v_rows > 0;
end
$$;
