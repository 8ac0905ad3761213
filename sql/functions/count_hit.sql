-- count_hit: one more answer given from a cache entry. Never waits: where somebody else is writing the entry, the hit is noted aside and added by
-- sweep.
--
-- Parameters: p_id      the entry
--             p_tokens  what the hit saved
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache, fpm.cache_hits_pending
create or replace function fpm.count_hit(p_id uuid, p_tokens bigint) returns void
language plpgsql volatile
as $$
begin
	update public.ai_response_cache a
	set cache_hits = a.cache_hits + 1, tokens_saved = a.tokens_saved + p_tokens
	where a.id = (select f.id from public.ai_response_cache f where f.id = p_id for no key update skip locked);
	if not found then
		insert into fpm.cache_hits_pending (cache_id, hits, tokens) values (p_id, 1, p_tokens);
	end if;
end
$$;
