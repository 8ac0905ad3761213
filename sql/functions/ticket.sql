-- ticket: what names a row of the ledger to settle: its id, its time (the partition), and the advisory lock to take, so that settle need not look
-- that up.
--
-- Parameters: p_id, p_created_at, p_lock_key
-- Returns:    UUID, 14 hex digits of microseconds, 16 hex digits of the lock's key, with dots between; opaque to everybody else
-- Calls:      nothing
-- Tables:     none
create or replace function fpm.ticket(p_id uuid, p_created_at timestamptz, p_lock_key bigint) returns text
language plpgsql immutable parallel safe
as $$
begin
	return p_id || '.' || lpad(to_hex((extract(epoch from p_created_at) * 1000000)::bigint), 14, '0') || '.' || lpad(to_hex(p_lock_key), 16, '0');
end
$$;
