-- key_list: the keys of a supplier, or of all; never the keys themselves.
--
-- Parameters: p_supplier  null: all
-- Returns:    rows, oldest first; revoked_at is null for a live key
-- Calls:      nothing
-- Tables:     reads fpm.api_keys
create or replace function fpm.key_list(p_supplier uuid default null)
returns table (key_id uuid, supplier_id uuid, hint text, name text, created_at timestamptz, revoked_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select k.id, k.supplier_id, k.key_hint, k.name, k.created_at, k.revoked_at
	from fpm.api_keys k
	where p_supplier is null or k.supplier_id = p_supplier
	order by k.created_at, k.id
$$;
