-- own_colleagues: who is in the organisation of the supplier that is signed in, for the row-level policy of ledger rows that bear no organisation
-- because admission did not write them (imports).
--
-- Parameters: none
-- Returns:    their ids; empty without an organisation
-- Calls:      auth.uid
-- Tables:     reads public.user_profiles
create or replace function fpm.own_colleagues() returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select coalesce(array_agg(u.id), '{}')
	from public.user_profiles u
	join public.user_profiles o on o.organization_id = u.organization_id
	where o.id = auth.uid()
$$;
