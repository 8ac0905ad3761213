-- new_row_id: a UUID of version 7 (RFC 9562). Ids that rise with time fill the ledger's index from one end; random ones would dirty a page each.
--
-- Parameters: p_now  the moment it is to bear
-- Returns:    the id
-- Calls:      nothing
-- Tables:     none
create or replace function fpm.new_row_id(p_now timestamptz) returns uuid
language plpgsql volatile parallel safe
as $$
begin
	-- 48 bits of milliseconds, the version's digit, and the random rest of a version 4.
	return (lpad(to_hex((extract(epoch from p_now) * 1000)::bigint), 12, '0') || '7' || substr(gen_random_uuid()::text, 16))::uuid;
end
$$;
