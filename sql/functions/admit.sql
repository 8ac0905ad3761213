-- admit: may this call go out? If so its row is in the ledger, its upper bound of cost is held, and its place of the day, the month and the rate is
-- taken; or the answer comes out of the cache, which takes a place too and costs nothing.
--
-- Parameters: p_key_hash                SHA-256 of the caller's key, in hex
--             p_request_id, p_endpoint, p_worker, p_stream   for the row
--             p_feature                 the limits are per supplier and feature
--             p_provider, p_model       'openai', 'gpt-4o-mini'
--             p_rate_count, p_rate_period_s, p_rate_burst    the endpoint's rate; 0 none; burst 0 is the count
--             p_prompt_tokens_max, p_max_tokens              what the provider can charge at most: the reservation
--             p_prompt_tokens_estimate  what an orphan is charged for its prompt
--             p_content_hash, p_cache_scope, p_cache_ttl_s   null or 'off': no cache
--             p_timeout_ms, p_grace_ms  when a row that nobody settled has expired
-- Returns:    one row. verdict: admitted, cached, unauthenticated, model_unknown, rate_limit, monthly_limit, daily_limit, cost_limit;
--             busy: somebody holds the supplier's row, who may be deleting it or only changing it: nothing is decided, and it is not waited for.
--             in_flight: the same answer is being made for another call, and there is none yet: ask again.
--             again: ask again, for an answer that was kept went meanwhile, or the call stood behind a larger one.
--             retry_after_s is when the last of the limits that stand in the way lets go. rate_limit is what a full bucket holds; rate_reset_s when
--             it is full again. day_left and month_left count this request; null: unlimited.
-- Calls:      fpm.admit_calls, fpm.ticket
-- Tables:     what that reads and writes
--
-- One call, for tests and for whoever asks by hand; the daemon asks for many at a time, through fpm.admit_calls.
create or replace function fpm.admit(
	p_key_hash text, p_request_id text, p_feature text, p_endpoint text, p_provider text, p_model text,
	p_rate_count int, p_rate_period_s int, p_rate_burst int,
	p_prompt_tokens_max bigint, p_prompt_tokens_estimate bigint, p_max_tokens int,
	p_content_hash text, p_cache_scope text, p_cache_ttl_s int,
	p_timeout_ms bigint, p_grace_ms bigint, p_worker text, p_stream boolean,
	out verdict text, out ticket text, out retry_after_s int, out rate_limit int, out rate_remaining int, out rate_reset_s int,
	out day_left bigint, out month_left bigint, out model text, out price_input text, out price_cached text, out price_output text, out answer text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
	select r.verdict, fpm.ticket(r.id, r.created_us, r.lock_key), r.retry_after_s, r.rate_limit, r.rate_remaining, r.rate_reset_s, r.day_left, r.month_left, r.model, r.price_input,
		r.price_cached, r.price_output, r.answer
	into verdict, ticket, retry_after_s, rate_limit, rate_remaining, rate_reset_s, day_left, month_left, model, price_input, price_cached,
		price_output, answer
	from fpm.admit_calls(array[row(p_key_hash, p_request_id, p_feature, p_endpoint, p_provider, p_model, p_rate_count, p_rate_period_s, p_rate_burst,
		p_prompt_tokens_max, p_prompt_tokens_estimate, p_max_tokens, p_content_hash, p_cache_scope, p_cache_ttl_s, p_timeout_ms, p_grace_ms, p_worker, p_stream,
		null, 1)::fpm.admit_call]) r;
end
$$;
