-- keep_answers: puts answers of calls that were settled into the cache where there is an entry already: in its place, if it has expired. Never waits: where somebody else
-- is at the same entry, his answer is as good.
--
-- Parameters: p_ended    rows that have ended; those without an answer are passed over
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache
create or replace function fpm.keep_answers(p_ended fpm.ended[]) returns void
language plpgsql volatile
as $$
declare
	v_now constant timestamptz := clock_timestamp();
begin
	update public.ai_response_cache a
	set model_used = e.model_used, response_content = e.answer, content_bytes = octet_length(e.answer), answer_tokens = e.prompt_tokens + e.completion_tokens,
		answer_cents = e.cost_cents, created_at = v_now, expires_at = v_now + e.cache_ttl_s * interval '1 second'
	from unnest(p_ended) e
	where e.answer is not null and pg_try_advisory_xact_lock(hashtextextended('cache:' || e.cache_hash, 0)) and a.id = any (array[(
		select f.id from public.ai_response_cache f where f.prompt_hash = e.cache_hash and f.expires_at <= v_now for no key update skip locked)]);
end
$$;
