-- settle: ends a call that was admitted, with what it truly used. Once: a second call changes nothing and tells what is there.
--
-- Parameters: p_ticket      as admit gave it
--             p_state       settled; failed; aborted (the client left, what was delivered is billed);
--                           void (it never reached the provider: failed, with no tokens)
--             p_prompt_tokens, p_cached_tokens (part of them), p_completion_tokens; p_estimated: by the stated estimate
--             p_duration_ms
--             p_error       null or a code of the catalogue of errors
--             p_content     the answer, to be kept where the call was cacheable; null: none
-- Returns:    one row. done: whether this call ended the row; state: the row's; cost_cents: the row's. An unknown ticket: false, null, null.
--             A row whose supplier is being deleted, or locked otherwise, at this moment is not waited for: it stays reserved, and ask again. So where done is null: it has
--             expired, and its correction is still to be made.
--             Never raises.
--             A row that has expired stays so, but its figures are set right by a correction, once.
-- Calls:      fpm.settle_calls
-- Tables:     what that reads and writes
--
-- One call, for tests and for whoever asks by hand; the daemon asks for many at a time, through fpm.settle_calls.
create or replace function fpm.settle(
	p_ticket text, p_state text, p_prompt_tokens bigint, p_cached_tokens bigint, p_completion_tokens bigint, p_estimated boolean,
	p_duration_ms bigint, p_error text, p_content text,
	out done boolean, out state text, out cost_cents text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_part text[] := regexp_match(p_ticket, '^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[.]([0-9]{1,16})[.](-?[0-9]{1,19})$');
begin
	if abs(v_part[3]::numeric) > 9223372036854775807 then
		v_part := null;
	end if;
	select r.done, r.state, r.cost_cents into done, state, cost_cents
	from fpm.settle_calls(array[row(v_part[1], v_part[2], v_part[3], p_state, p_prompt_tokens, p_cached_tokens, p_completion_tokens, p_estimated, p_duration_ms, p_error,
		p_content, 1)::fpm.settle_call]) r;
end
$$;
