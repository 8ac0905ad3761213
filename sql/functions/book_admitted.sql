-- book_admitted: writes the ledger's rows of calls that were admitted, and their reservations; or their hits.
--
-- Parameters: p_calls     the whole set
--             p_admitted  those of it that were admitted
-- Returns:    nothing
-- Calls:      fpm.add_usage, fpm.count_hit
-- Tables:     writes public.ai_usage_tracking, fpm.reservations
create or replace function fpm.book_admitted(p_calls fpm.call[], p_admitted fpm.admitted[]) returns void
language plpgsql volatile
as $$
declare
	v_hits int := (select count(*) from unnest(p_admitted) w where w.hit_id is not null);
begin
	insert into public.ai_usage_tracking (id, created_at, supplier_id, organization_id, key_id, feature_type, endpoint, provider, model_used, request_id,
		worker, stream, state, success, reserved_cents, price_id, tokens_saved, saved_cents, settled_at)
	select w.id, w.created_at, w.supplier_id, w.organization_id, w.key_id, w.feature_type, coalesce((p_calls[w.n]).endpoint, ''), (p_calls[w.n]).provider,
		w.model_used, (p_calls[w.n]).request_id, (p_calls[w.n]).worker, coalesce((p_calls[w.n]).stream, false),
		case when w.hit_id is null then 'reserved' else 'cached' end, case when w.hit_id is not null then true end, w.reserved_cents,
		case when w.hit_id is null then w.price_id end, coalesce(w.hit_tokens, 0), coalesce(w.hit_cents, 0), case when w.hit_id is not null then w.created_at end
	from unnest(p_admitted) w;

	if v_hits < cardinality(p_admitted) then
		insert into fpm.reservations (id, created_at, supplier_id, feature_type, model_used, worker, price_input, price_cached, price_output, reserved_cents,
			prompt_estimate, max_tokens, cache_hash, cache_scope, cache_owner, cache_ttl_s, expires_at)
		select w.id, w.created_at, w.supplier_id, w.feature_type, w.model_used, (p_calls[w.n]).worker, w.price_input, w.price_cached, w.price_output,
			w.reserved_cents, greatest(coalesce((p_calls[w.n]).prompt_tokens_estimate, 0), 0), greatest(coalesce((p_calls[w.n]).max_tokens, 0), 0),
			w.cache_hash, w.cache_scope, w.cache_owner, (p_calls[w.n]).cache_ttl_s,
			w.created_at + least(greatest(coalesce((p_calls[w.n]).timeout_ms, 0), 0), 604800000) * interval '1 millisecond'
				+ least(greatest(coalesce((p_calls[w.n]).grace_ms, 0), 0), 604800000) * interval '1 millisecond'
		from unnest(p_admitted) w
		where w.hit_id is null;
	end if;

	if v_hits > 0 then
		perform fpm.add_usage(p_supplier => w.supplier_id, p_organization => w.organization_id, p_day => (w.created_at at time zone 'UTC')::date,
				p_feature => w.feature_type, p_model => w.model_used, p_state => 'cached', p_tokens_saved => w.hit_tokens, p_saved_cents => w.hit_cents),
			fpm.count_hit(w.hit_id, w.hit_tokens)
		from unnest(p_admitted) w
		where w.hit_id is not null;
	end if;
end
$$;
