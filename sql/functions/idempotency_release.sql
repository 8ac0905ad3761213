-- idempotency_release: the request that holds a key is over and left no answer. Where nothing was spent the key is free at once; else its retries are told so.
--
-- Parameters: p_supplier, p_key_digest, p_request_id  of the claim
-- Returns:    whether the key is free. Never raises.
-- Calls:      fpm.idempotency_fate
-- Tables:     writes fpm.idempotency_keys
create or replace function fpm.idempotency_release(p_supplier text, p_key_digest text, p_request_id text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_key fpm.idempotency_keys;
begin
	perform set_config('synchronous_commit', 'off', true); -- lost with a crash, it comes to the same when the lease is over
	if p_supplier !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
		return false;
	end if;
	update fpm.idempotency_keys k set lease_until = clock_timestamp()
	where k.supplier_id = p_supplier::uuid and k.key_digest = p_key_digest and k.request_id = p_request_id and k.row_id is null
	returning k.* into v_key;
	if not found or fpm.idempotency_fate(v_key) <> 'free' then
		return false;
	end if;
	delete from fpm.idempotency_keys k where k.supplier_id = v_key.supplier_id and k.key_digest = v_key.key_digest and k.request_id = p_request_id;
	return found;
end
$$;
