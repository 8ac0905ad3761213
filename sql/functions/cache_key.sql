-- cache_key: the cache's key, over whose the answer is and what shaped it: the same content in two scopes, or of two owners, never meets.
--
-- Parameters: p_scope         shared, organization, supplier
--             p_owner         the organisation's or supplier's id; null for shared
--             p_content_hash  digest of endpoint, messages, model and parameters
-- Returns:    SHA-256 in hex
-- Calls:      nothing
-- Tables:     none
create or replace function fpm.cache_key(p_scope text, p_owner uuid, p_content_hash text) returns char(64)
language plpgsql immutable parallel safe
as $$
begin
	return encode(sha256(convert_to(concat_ws(':', p_scope, coalesce(p_owner::text, ''), p_content_hash), 'UTF8')), 'hex');
end
$$;
