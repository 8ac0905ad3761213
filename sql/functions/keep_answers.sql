-- keep_answers: puts answers of calls that were settled into the cache: anew, or in the place of one that has expired. Never waits: where somebody else is at the same
-- entry, his answer is as good.
--
-- Parameters: p_ended    rows that have ended
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache
create or replace function fpm.keep_answers(p_ended fpm.ended[]) returns void
language plpgsql volatile
as $$
declare
	v_now constant timestamptz := clock_timestamp();
	v_free fpm.ended[] := array(
		-- Whoever inserts or sweeps an entry holds this lock to the end of its transaction. Looking first, and inserting only where nothing is there,
		-- meets no unfinished transaction: `on conflict` alone would wait for one that is just counting a hit.
		select e from unnest(p_ended) e
		where e.answer is not null
			and pg_try_advisory_xact_lock(hashtextextended('cache:' || e.cache_hash, 0)));
	v_kept bigint;
begin
	if cardinality(v_free) = 0 then
		return;
	end if;
	insert into public.ai_response_cache (prompt_hash, feature_type, model_used, response_content, answer_tokens, answer_cents, expires_at,
		scope, organization_id, supplier_id)
	select e.cache_hash, e.feature_type, e.model_used, e.answer, e.prompt_tokens + e.completion_tokens, e.cost_cents, v_now + e.cache_ttl_s * interval '1 second',
		e.cache_scope, case when e.cache_scope = 'organization' then e.cache_owner end, case when e.cache_scope = 'supplier' then e.cache_owner end
	from unnest(v_free) e
	where not exists (select from public.ai_response_cache a where a.prompt_hash = e.cache_hash)
	on conflict (prompt_hash) do nothing;
	get diagnostics v_kept = row_count;
	if v_kept = cardinality(v_free) then
		return;
	end if;
	update public.ai_response_cache a
	set model_used = e.model_used, response_content = e.answer, answer_tokens = e.prompt_tokens + e.completion_tokens, answer_cents = e.cost_cents,
		created_at = v_now, expires_at = v_now + e.cache_ttl_s * interval '1 second'
	from unnest(v_free) e
	where a.prompt_hash = e.cache_hash and a.id = (
		select f.id from public.ai_response_cache f where f.prompt_hash = e.cache_hash and f.expires_at <= v_now for no key update skip locked);
end
$$;
