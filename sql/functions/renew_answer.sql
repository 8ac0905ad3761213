-- renew_answer: puts a new answer in the place of a cached one that has expired. Never waits: an entry that somebody else is writing stays as it is.
--
-- Parameters: p_hash, p_ttl_s      what admission said of it
--             p_model, p_content
--             p_tokens, p_cents    what making it took: a hit saves so much
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache
create or replace function fpm.renew_answer(p_hash char(64), p_ttl_s int, p_model text, p_content text, p_tokens bigint, p_cents numeric) returns void
language plpgsql volatile
as $$
begin
	if p_ttl_s > 0 then
		update public.ai_response_cache a
		set model_used = p_model, response_content = p_content, answer_tokens = p_tokens, answer_cents = p_cents, created_at = clock_timestamp(),
			expires_at = clock_timestamp() + p_ttl_s * interval '1 second'
		where a.id = (
			select f.id from public.ai_response_cache f
			where f.prompt_hash = p_hash and f.expires_at <= clock_timestamp()
			for no key update skip locked);
	end if;
end
$$;
