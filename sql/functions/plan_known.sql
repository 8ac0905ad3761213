-- plan_known: whether a tier has limits of its own for any feature. One that has none is no error: its suppliers have the default limits everywhere.
--
-- Parameters: p_tier
-- Returns:    whether
-- Calls:      nothing
-- Tables:     reads public.ai_usage_limits
create or replace function fpm.plan_known(p_tier text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select exists (select from public.ai_usage_limits l where l.tier_name = p_tier)
$$;
