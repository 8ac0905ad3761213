-- supplier_add: makes a supplier, or gives one that is there (on Supabase they all are) a tier and an organisation.
--
-- Parameters: p_supplier      its id; null: a new one
--             p_organization  null: none, or as it is
--             p_tier          any name; one that ai_usage_limits does not know has the default limits
-- Returns:    its id
-- Calls:      nothing
-- Tables:     writes public.user_profiles
create or replace function fpm.supplier_add(p_supplier uuid, p_organization uuid, p_tier text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_id uuid := coalesce(p_supplier, gen_random_uuid());
	v_rows int;
begin
	-- As literals, because the tier may be an enum where the table is not ours.
	execute format('update public.user_profiles set subscription_tier = %L, organization_id = coalesce(%L, organization_id) where id = %L',
		p_tier, p_organization, v_id);
	get diagnostics v_rows = row_count;
	if v_rows = 0 then
		execute format('insert into public.user_profiles (id, organization_id, subscription_tier) values (%L, %L, %L)', v_id, p_organization, p_tier);
	end if;
	return v_id;
end
$$;
