-- maker_key: the advisory lock of whoever begins to make an answer that is to be kept, until its row can be seen.
--
-- Parameters: p_hash  the answer's key in the cache: 64 hex digits
-- Returns:    the key for pg_try_advisory_xact_lock
-- Calls:      nothing
-- Tables:     none
--
-- Left without a pinned search_path so that it is inlined into its callers.
create or replace function fpm.maker_key(p_hash bpchar) returns bigint
language sql immutable parallel safe
as $$
	select ('x' operator(pg_catalog.||) pg_catalog.substr(p_hash::pg_catalog.text, 1, 16))::pg_catalog.bit(64)::pg_catalog.int8
$$;
