-- add_usage: adds one ended row of the ledger to its day's sums. Called under the advisory lock of supplier and feature, in the transaction that ends
-- the row.
--
-- Parameters: the row's supplier, organisation, day (UTC), feature, model, state and figures
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes fpm.usage_daily
create or replace function fpm.add_usage(
	p_supplier uuid, p_organization uuid, p_day date, p_feature text, p_model text, p_state text,
	p_prompt_tokens bigint default 0, p_cached_tokens bigint default 0, p_completion_tokens bigint default 0, p_cost_cents numeric default 0,
	p_estimated boolean default false, p_overrun boolean default false,
	p_tokens_saved bigint default 0, p_saved_cents numeric default 0, p_duration_ms bigint default 0) returns void
language plpgsql volatile
as $$
begin
	update fpm.usage_daily u
	set requests = u.requests + (p_state <> 'correction')::int, cached = u.cached + (p_state = 'cached')::int,
		failed = u.failed + (p_state = 'failed')::int, aborted = u.aborted + (p_state = 'aborted')::int, expired = u.expired + (p_state = 'expired')::int,
		corrections = u.corrections + (p_state = 'correction')::int,
		estimated = u.estimated + p_estimated::int, overruns = u.overruns + p_overrun::int,
		prompt_tokens = u.prompt_tokens + p_prompt_tokens, cached_tokens = u.cached_tokens + p_cached_tokens,
		completion_tokens = u.completion_tokens + p_completion_tokens, tokens = u.tokens + p_prompt_tokens + p_completion_tokens,
		cost_cents = u.cost_cents + p_cost_cents, tokens_saved = u.tokens_saved + p_tokens_saved, saved_cents = u.saved_cents + p_saved_cents,
		duration_ms = u.duration_ms + coalesce(p_duration_ms, 0)
	where u.supplier_id = p_supplier and u.day = p_day and u.feature_type = p_feature and u.model_used = p_model
		and u.organization_id is not distinct from p_organization;
	if found then
		return;
	end if;
	insert into fpm.usage_daily (supplier_id, organization_id, day, feature_type, model_used) values (p_supplier, p_organization, p_day, p_feature,
		p_model);
	perform fpm.add_usage(p_supplier, p_organization, p_day, p_feature, p_model, p_state, p_prompt_tokens, p_cached_tokens, p_completion_tokens,
		p_cost_cents,
		p_estimated, p_overrun, p_tokens_saved, p_saved_cents, p_duration_ms);
end
$$;
