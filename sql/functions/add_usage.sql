-- add_usage: adds rows of the ledger that have ended to their days' sums. Called under the advisory locks of supplier and feature, in the transaction that writes the
-- rows.
--
-- Parameters: p_rows
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes fpm.usage_daily
create or replace function fpm.add_usage(p_rows fpm.ended[]) returns void
language plpgsql volatile
as $$
begin
	insert into fpm.usage_daily as u (supplier_id, organization_id, day, feature_type, model_used, requests, cached, failed, aborted, expired, corrections, estimated,
		overruns, prompt_tokens, cached_tokens, completion_tokens, tokens, cost_cents, tokens_saved, saved_cents, duration_ms)
	select e.supplier_id, e.organization_id, (e.created_at at time zone 'UTC')::date, e.feature_type, e.model_used, count(*) filter (where e.state <> 'correction'),
		count(*) filter (where e.state = 'cached'), count(*) filter (where e.state = 'failed'), count(*) filter (where e.state = 'aborted'),
		count(*) filter (where e.state = 'expired'), count(*) filter (where e.state = 'correction'), count(*) filter (where e.estimated),
		count(*) filter (where e.overrun), sum(e.prompt_tokens), sum(e.cached_tokens), sum(e.completion_tokens), sum(e.prompt_tokens + e.completion_tokens),
		sum(e.cost_cents), sum(e.tokens_saved), sum(e.saved_cents), sum(coalesce(e.duration_ms, 0))
	from unnest(p_rows) e
	group by 1, 2, 3, 4, 5
	on conflict on constraint summed_once do update set requests = u.requests + excluded.requests, cached = u.cached + excluded.cached,
		failed = u.failed + excluded.failed, aborted = u.aborted + excluded.aborted, expired = u.expired + excluded.expired,
		corrections = u.corrections + excluded.corrections, estimated = u.estimated + excluded.estimated, overruns = u.overruns + excluded.overruns,
		prompt_tokens = u.prompt_tokens + excluded.prompt_tokens, cached_tokens = u.cached_tokens + excluded.cached_tokens,
		completion_tokens = u.completion_tokens + excluded.completion_tokens, tokens = u.tokens + excluded.tokens, cost_cents = u.cost_cents + excluded.cost_cents,
		tokens_saved = u.tokens_saved + excluded.tokens_saved, saved_cents = u.saved_cents + excluded.saved_cents, duration_ms = u.duration_ms + excluded.duration_ms;
end
$$;
