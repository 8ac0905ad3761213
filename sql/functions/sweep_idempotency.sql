-- sweep_idempotency: deletes idempotency keys whose time is over, oldest first. Skips what somebody else is writing.
--
-- Parameters: p_most  how many to delete at most
-- Returns:    how many it deleted
-- Calls:      nothing
-- Tables:     writes fpm.idempotency_keys
create or replace function fpm.sweep_idempotency(p_most int) returns bigint
language plpgsql volatile
as $$
declare
	v_gone bigint;
begin
	delete from fpm.idempotency_keys k
	using (select o.supplier_id, o.key_digest from fpm.idempotency_keys o
		where o.expires_at <= clock_timestamp() order by o.expires_at limit p_most for update skip locked) old
	where k.supplier_id = old.supplier_id and k.key_digest = old.key_digest and k.expires_at <= clock_timestamp();
	get diagnostics v_gone = row_count;
	return v_gone;
end
$$;
