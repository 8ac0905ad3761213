-- key_revoke: a key is not accepted any more.
--
-- Parameters: p_key  its id, or its hint where only one live key has that
-- Returns:    how many were revoked: 1; 0 where none is meant by it, or several are
-- Calls:      nothing
-- Tables:     writes fpm.api_keys
create or replace function fpm.key_revoke(p_key text) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_ids uuid[] := array(select k.id from fpm.api_keys k where k.revoked_at is null and (k.id::text = lower(p_key) or k.key_hint = p_key));
begin
	if cardinality(v_ids) <> 1 then
		return 0;
	end if;
	update fpm.api_keys k set revoked_at = clock_timestamp() where k.id = v_ids[1];
	return 1;
end
$$;
