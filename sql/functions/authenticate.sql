-- authenticate: whose key this is. Reads only.
--
-- Parameters: p_key_hash  SHA-256 of the caller's key, in hex
-- Returns:    one row, or none where the key is unknown or revoked
-- Calls:      nothing
-- Tables:     reads fpm.api_keys, public.user_profiles
create or replace function fpm.authenticate(p_key_hash text)
returns table (supplier_id text, key_id text, organization_id text, tier text)
language sql stable security definer rows 1 set search_path = pg_catalog, pg_temp
as $$
	select k.supplier_id::text, k.id::text, u.organization_id::text, u.subscription_tier::text
	from fpm.api_keys k
	join public.user_profiles u on u.id = k.supplier_id
	where k.key_hash = p_key_hash and k.revoked_at is null
$$;
