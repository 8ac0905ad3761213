-- call_find: the ledger's row of a call, for whoever has to correct it.
--
-- Parameters: p_name  the row's id, or the request's: the first is looked up, the second is looked for in the whole ledger
-- Returns:    rows, latest first; more than one of a request that asked more than one model. tokens and cost are with the corrections there are.
-- Calls:      nothing
-- Tables:     reads public.ai_usage_tracking
create or replace function fpm.call_find(p_name text)
returns table (id uuid, created_at timestamptz, supplier_id uuid, feature_type text, model_used text, state text, prompt_tokens bigint, cached_tokens bigint,
	completion_tokens bigint, cost_cents numeric)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_id uuid := case when p_name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_name::uuid end;
begin
	return query
	select t.id, t.created_at, t.supplier_id, t.feature_type, t.model_used, t.state, t.prompt_tokens + c.prompt, t.cached_tokens + c.cached,
		t.completion_tokens + c.completion, trim_scale(t.cost_cents + c.cost)
	from public.ai_usage_tracking t
	cross join lateral (
		select coalesce(sum(k.prompt_tokens), 0)::bigint as prompt, coalesce(sum(k.cached_tokens), 0)::bigint as cached,
			coalesce(sum(k.completion_tokens), 0)::bigint as completion, coalesce(sum(k.cost_cents), 0) as cost
		from public.ai_usage_tracking k
		where k.supplier_id = t.supplier_id and k.created_at >= t.created_at and k.corrects = t.id) c
	where (v_id is null or t.id = v_id) and (v_id is not null or t.request_id = p_name) and t.state <> 'correction'
	order by t.created_at desc;
end
$$;
