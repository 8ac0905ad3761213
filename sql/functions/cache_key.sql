-- cache_key: the cache's key, over whose the answer is and what shaped it: the same content in two scopes, or of two owners, never meets.
--
-- Parameters: p_scope         shared, organization, supplier
--             p_owner         the organisation's or supplier's id; null for shared
--             p_content_hash  digest of endpoint, messages, model and parameters
-- Returns:    SHA-256 in hex; null where there is no content
-- Calls:      nothing
-- Tables:     none
--
-- Left without a pinned search_path so that it is inlined into its caller.
create or replace function fpm.cache_key(p_scope text, p_owner uuid, p_content_hash text) returns bpchar
language sql stable parallel safe
as $$
	select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p_scope operator(pg_catalog.||) ':'
		operator(pg_catalog.||) coalesce(p_owner::pg_catalog.text, '') operator(pg_catalog.||) ':' operator(pg_catalog.||) p_content_hash, 'UTF8')), 'hex')::pg_catalog.bpchar
$$;
