-- sweep_cache: adds the hits that were noted aside and deletes entries that have expired. Skips what somebody else is writing.
--
-- Parameters: p_most  how many entries to delete at most
-- Returns:    how many it deleted
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache, fpm.cache_hits_pending
create or replace function fpm.sweep_cache(p_most int) returns bigint
language plpgsql volatile
as $$
declare
	v_gone bigint;
begin
	-- Only those whose entry is free, or gone: the others stay noted.
	with free as materialized (
		select a.id from public.ai_response_cache a
		where a.id in (select p.cache_id from fpm.cache_hits_pending p) for no key update skip locked
	), taken as (
		delete from fpm.cache_hits_pending p
		where p.cache_id in (select f.id from free f) or not exists (select from public.ai_response_cache a where a.id = p.cache_id)
		returning p.*
	)
	update public.ai_response_cache a
	set cache_hits = a.cache_hits + s.hits, tokens_saved = a.tokens_saved + s.tokens
	from (select t.cache_id, sum(t.hits) as hits, sum(t.tokens) as tokens from taken t group by t.cache_id) s
	where a.id = s.cache_id;

	with old as materialized (
		select a.id, a.prompt_hash from public.ai_response_cache a where a.expires_at <= clock_timestamp() order by a.expires_at limit p_most
	), mine as materialized (
		select o.id from old o where pg_try_advisory_xact_lock(hashtextextended('cache:' || o.prompt_hash, 0))
	), free as materialized (
		select a.id from public.ai_response_cache a join mine m on m.id = a.id where a.expires_at <= clock_timestamp() for update of a skip locked
	)
	delete from public.ai_response_cache a using free f where a.id = f.id;
	get diagnostics v_gone = row_count;
	return v_gone;
end
$$;
