-- ticket: what names a row of the ledger to settle: its id, its time (the partition), and the advisory lock to take, so that settle need not look
-- that up.
--
-- Parameters: p_id, p_created_us, p_lock_key  as fpm.admit_calls answers them
-- Returns:    UUID, microseconds since 1970, the lock's key, with dots between; null where there is no id
-- Calls:      nothing
-- Tables:     none
create or replace function fpm.ticket(p_id uuid, p_created_us bigint, p_lock_key bigint) returns text
language sql immutable parallel safe
as $$
	select p_id::text || '.' || p_created_us || '.' || p_lock_key
$$;
