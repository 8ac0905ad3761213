-- own_organization: the organisation of the supplier that is signed in, for the row-level policies.
--
-- Parameters: none
-- Returns:    its id, or null
-- Calls:      auth.uid
-- Tables:     reads public.user_profiles
create or replace function fpm.own_organization() returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select u.organization_id from public.user_profiles u where u.id = auth.uid()
$$;
