-- store_answer: keeps the answer of a settled call. Never waits: where somebody else is writing the same entry, his will do as well.
--
-- Parameters: p_hash, p_scope, p_owner, p_ttl_s  what admission said of it
--             p_feature, p_model, p_content
--             p_tokens, p_cents                  what making it took: a hit saves so much
-- Returns:    nothing
-- Calls:      nothing
-- Tables:     writes public.ai_response_cache
create or replace function fpm.store_answer(p_hash char(64), p_scope text, p_owner uuid, p_ttl_s int, p_feature text, p_model text, p_content text,
	p_tokens bigint, p_cents numeric) returns void
language plpgsql volatile
as $$
declare
	v_expires timestamptz := clock_timestamp() + greatest(coalesce(p_ttl_s, 0), 0) * interval '1 second';
begin
	-- Whoever inserts or sweeps an entry holds this lock to the end of its transaction. Looking first, and inserting only where nothing is there, meets
	-- no unfinished transaction: `on conflict` alone would wait for one that is just counting a hit.
	if coalesce(p_ttl_s, 0) <= 0 or not pg_try_advisory_xact_lock(hashtextextended('cache:' || p_hash, 0)) then
		return;
	end if;
	if not exists (select from public.ai_response_cache a where a.prompt_hash = p_hash) then
		insert into public.ai_response_cache (prompt_hash, feature_type, model_used, response_content, answer_tokens, answer_cents, expires_at,
			scope, organization_id, supplier_id)
		values (p_hash, p_feature, p_model, p_content, p_tokens, p_cents, v_expires, p_scope, case when p_scope = 'organization' then p_owner end,
			case when p_scope = 'supplier' then p_owner end)
		on conflict (prompt_hash) do nothing;
		return;
	end if;
	update public.ai_response_cache a
	set model_used = p_model, response_content = p_content, answer_tokens = p_tokens, answer_cents = p_cents, expires_at = v_expires,
		created_at = clock_timestamp()
	where a.id = (
		select f.id from public.ai_response_cache f
		where f.prompt_hash = p_hash and f.expires_at <= clock_timestamp()
		for no key update skip locked);
end
$$;
