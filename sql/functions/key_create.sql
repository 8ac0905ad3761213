-- key_create: notes a caller's key. The key itself never gets here: who made it shows it once and keeps nothing.
--
-- Parameters: p_supplier
--             p_key_hash  SHA-256 of the key, in hex
--             p_key_hint  its first characters, for people
--             p_name      what it is for
-- Returns:    the key's id; null where there is no such supplier
-- Calls:      nothing
-- Tables:     writes fpm.api_keys
create or replace function fpm.key_create(p_supplier uuid, p_key_hash text, p_key_hint text, p_name text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_id uuid;
begin
	insert into fpm.api_keys (supplier_id, key_hash, key_hint, name)
	select u.id, p_key_hash, coalesce(p_key_hint, ''), coalesce(p_name, '')
	from public.user_profiles u where u.id = p_supplier
	returning id into v_id;
	return v_id;
end
$$;
