-- lock_key: the advisory lock under which everything of one supplier's feature is decided and written.
--
-- Parameters: p_supplier, p_feature
-- Returns:    the key for pg_advisory_xact_lock
-- Calls:      nothing
-- Tables:     none
--
-- Left without a pinned search_path so that it is inlined into its callers; all it names is in pg_catalog.
create or replace function fpm.lock_key(p_supplier uuid, p_feature text) returns bigint
language sql immutable parallel safe
as $$
	select pg_catalog.hashtextextended(p_supplier::pg_catalog.text operator(pg_catalog.||) ':' operator(pg_catalog.||) p_feature, 0)
$$;
