-- new_row_id: a UUID of version 7 (RFC 9562). Ids that rise with time fill the ledger's index from one end; random ones would dirty a page each.
--
-- Parameters: p_now  the moment it is to bear
-- Returns:    the id
-- Calls:      nothing
-- Tables:     none
--
-- 48 bits of milliseconds, the version's digit, and the random rest of a version 4. Left without a pinned search_path so that it is inlined into its caller.
create or replace function fpm.new_row_id(p_now timestamptz) returns uuid
language sql volatile parallel safe
as $$
	select (pg_catalog.lpad(pg_catalog.to_hex(pg_catalog.floor(extract(epoch from p_now) operator(pg_catalog.*) 1000)::pg_catalog.int8), 12, '0')
		operator(pg_catalog.||) '7' operator(pg_catalog.||) pg_catalog.substr(pg_catalog.gen_random_uuid()::pg_catalog.text, 16))::pg_catalog.uuid
$$;
