-- book_hits: writes the ledger's rows of calls that are answered from the cache, and counts them where they are counted.
--
-- Parameters: p_calls    the set that they are of
--             p_answers  what its calls are answered; of those that are cached, the row's id and time
-- Returns:    nothing
-- Calls:      fpm.add_usage
-- Tables:     writes fpm.ai_usage_ended, public.ai_response_cache, fpm.cache_hits_pending, and what add_usage writes
create or replace function fpm.book_hits(p_calls fpm.asked[], p_answers fpm.admission[]) returns void
language plpgsql volatile
as $$
declare
	v_hits fpm.ended[] := array(
		select row(a.n, a.id, 'epoch'::timestamptz + a.created_us * interval '1 microsecond', q.supplier_id,
			q.organization_id, q.feature, a.model, 'cached', 0, 0, 0, 0, 0, false, false, null, q.hit_tokens, q.hit_cents, null, null, q.hit_id, null, null)::fpm.ended
		from unnest(p_answers) a
		join unnest(p_calls) q on q.n = a.n
		where a.verdict = 'cached');
begin
	if cardinality(v_hits) = 0 then
		return;
	end if;
	insert into fpm.ai_usage_ended (id, created_at, supplier_id, organization_id, key_id, feature_type, endpoint, provider, model_used, request_id, worker,
		stream, state, success, tokens_saved, saved_cents, settled_at)
	select h.id, h.created_at, h.supplier_id, h.organization_id, q.key_id, h.feature_type, q.endpoint, q.provider, h.model_used, q.request_id, q.worker,
		q.stream, 'cached', true, h.tokens_saved, h.saved_cents, h.created_at
	from unnest(v_hits) h
	join unnest(p_calls) q on q.n = h.n;
	perform fpm.add_usage(v_hits);

	-- An entry that somebody else is writing is not waited for: its hits are noted aside, and added by sweep.
	with hit as (
		select h.cache_owner as id, count(*) as hits, sum(h.tokens_saved) as tokens from unnest(v_hits) h group by 1
	), free as materialized (
		select a.id from public.ai_response_cache a where a.id = any (array(select h.id from hit h)) for no key update skip locked
	), counted as (
		update public.ai_response_cache a
		set cache_hits = a.cache_hits + h.hits, tokens_saved = a.tokens_saved + h.tokens
		from hit h join free f on f.id = h.id
		where a.id = any (array[f.id])
	)
	insert into fpm.cache_hits_pending (cache_id, hits, tokens)
	select h.id, h.hits, h.tokens from hit h where not exists (select from free f where f.id = h.id);
end
$$;
