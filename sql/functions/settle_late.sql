-- settle_late: what a settlement comes to whose row has no reservation any more. It changes nothing, but for a row that has expired: whoever settles late knows better
-- than the estimate that it expired with, so its figures are set right by a correction, once.
--
-- Parameters: p_call  the settlement; the caller holds the advisory lock that its ticket names
-- Returns:    done: false; state and cost_cents: the row's, null where the ticket is unknown
-- Calls:      fpm.correct
-- Tables:     reads public.ai_usage_tracking
create or replace function fpm.settle_late(p_call fpm.call) returns fpm.reply
language plpgsql volatile
as $$
declare
	r fpm.reply;
	v_id uuid;
	v_created_at timestamptz;
	v_void boolean := p_call.state = 'void';
begin
	r.done := false;
	if p_call.ticket is null or p_call.ticket !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9a-f]{14}[.][0-9a-f]{16}$' then
		return r;
	end if;
	v_id := left(p_call.ticket, 36);
	v_created_at := 'epoch'::timestamptz + ('x00' || substr(p_call.ticket, 38, 14))::bit(64)::bigint * interval '1 microsecond';
	select t.state, trim_scale(t.cost_cents)::text into r.state, r.cost_cents
	from public.ai_usage_tracking t
	where t.id = v_id and t.created_at = v_created_at;
	if r.state = 'expired' and p_call.state in ('settled', 'failed', 'aborted', 'void') then
		perform fpm.correct(p_id => v_id, p_created_at => v_created_at, p_prompt_tokens => case when v_void then 0 else p_call.prompt_tokens end,
			p_cached_tokens => p_call.cached_tokens, p_completion_tokens => case when v_void then 0 else p_call.completion_tokens end,
			p_reason => 'settled_late', p_once => true);
	end if;
	return r;
end
$$;
