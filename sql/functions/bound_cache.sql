-- bound_cache: holds the cache to a size. What expires soonest goes first: it has the least left to save, the index has it in that order, and nothing has to be
-- written at each hit, as a ranking by last or most use would need; nor does a new entry, which nobody can have used yet, go before an old one.
-- Adding up the sizes of half a million entries, from an index, takes some 0.2 s.
--
-- Parameters: p_max   the most bytes of answers that may stay
--             p_most  how many entries to delete at most
-- Returns:    how many it deleted. Skips what somebody else is writing.
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache
create or replace function fpm.bound_cache(p_max bigint, p_most int) returns bigint
language plpgsql volatile
as $$
declare
	v_over bigint := (select sum(a.content_bytes) from public.ai_response_cache a) - greatest(p_max, 0);
	v_gone bigint;
begin
	if v_over is null or v_over <= 0 then
		return 0;
	end if;
	with soonest as materialized (
		select a.id, a.prompt_hash, a.content_bytes, a.expires_at from public.ai_response_cache a order by a.expires_at, a.id limit p_most
	), ranked as (
		select s.*, sum(s.content_bytes) over (order by s.expires_at, s.id) - s.content_bytes as before from soonest s
	), enough as materialized (
		select r.id, r.prompt_hash from ranked r where r.before < v_over
	), mine as materialized (
		select e.id from enough e where pg_try_advisory_xact_lock(hashtextextended('cache:' || e.prompt_hash, 0))
	), free as materialized (
		select a.id from public.ai_response_cache a join mine m on m.id = a.id for update of a skip locked
	)
	delete from public.ai_response_cache a using free f where a.id = f.id;
	get diagnostics v_gone = row_count;
	return v_gone;
end
$$;
