-- models_missing: which of these models no call would be admitted for.
--
-- Parameters: p_models  names as provider/model
-- Returns:    a row for each that is not to be had, in their order. reason: unknown (not in ai_models for that provider), inactive, unpriced
-- Calls:      nothing
-- Tables:     reads public.ai_models
create or replace function fpm.models_missing(p_models text[]) returns table (model text, reason text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select n.name, case when m.id is null then 'unknown' when not m.is_active then 'inactive' else 'unpriced' end
	from unnest(p_models) with ordinality n (name, at)
	left join public.ai_models m on m.provider = split_part(n.name, '/', 1) and m.model_name = substr(n.name, strpos(n.name, '/') + 1)
	where m.id is null or not m.is_active or m.price_id is null
	order by n.at
$$;
