-- usage: what was used, by day, supplier, feature and model, from the daily sums: as fast with a hundred million rows in the ledger as with none.
--
-- Parameters: p_supplier   null: all
--             p_from, p_to days (UTC), both included; null: open
-- Returns:    rows by day; calls still open are in none. tokens_saved and saved_cents are what the cache spared.
-- Calls:      nothing
-- Tables:     reads fpm.usage_daily
create or replace function fpm.usage(p_supplier uuid default null, p_from date default null, p_to date default null)
returns table (day date, supplier_id uuid, feature_type text, model_used text, requests bigint, cached bigint, failed bigint, tokens bigint,
	cost_cents numeric, tokens_saved bigint, saved_cents numeric)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
	select u.day, u.supplier_id, u.feature_type, u.model_used, sum(u.requests)::bigint, sum(u.cached)::bigint, sum(u.failed)::bigint,
		sum(u.tokens)::bigint, trim_scale(sum(u.cost_cents)), sum(u.tokens_saved)::bigint, trim_scale(sum(u.saved_cents))
	from fpm.usage_daily u
	where (p_supplier is null or u.supplier_id = p_supplier)
		and u.day >= coalesce(p_from, '-infinity') and u.day <= coalesce(p_to, 'infinity')
	group by u.day, u.supplier_id, u.feature_type, u.model_used
	order by u.day, u.supplier_id, u.feature_type, u.model_used
$$;
