-- invoice: the line items of a month (UTC), from the daily sums. They add up to the ledger to the last fraction.
--
-- Parameters: p_month     any day of it
--             p_supplier  null: all
-- Returns:    rows by supplier, feature and model; tokens of the provider's own cache are part of the prompt's
-- Calls:      nothing
-- Tables:     reads fpm.usage_daily
create or replace function fpm.invoice(p_month date, p_supplier uuid default null)
returns table (supplier_id uuid, organization_id uuid, feature_type text, model_used text, requests bigint, cached bigint, failed bigint,
	estimated bigint,
	corrections bigint, prompt_tokens bigint, cached_tokens bigint, completion_tokens bigint, cost_cents numeric)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select u.supplier_id, u.organization_id, u.feature_type, u.model_used, sum(u.requests)::bigint, sum(u.cached)::bigint, sum(u.failed)::bigint,
		sum(u.estimated)::bigint, sum(u.corrections)::bigint, sum(u.prompt_tokens)::bigint, sum(u.cached_tokens)::bigint,
		sum(u.completion_tokens)::bigint, trim_scale(sum(u.cost_cents))
	from fpm.usage_daily u
	where (p_supplier is null or u.supplier_id = p_supplier)
		and u.day >= date_trunc('month', p_month::timestamp)::date and u.day < (date_trunc('month', p_month::timestamp) + interval '1 month')::date
	group by u.supplier_id, u.organization_id, u.feature_type, u.model_used
	order by u.supplier_id, u.organization_id, u.feature_type, u.model_used
$$;
