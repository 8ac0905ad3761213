-- settle_late: what a settlement comes to that ended no call. It changes nothing, but for a row that has expired: whoever settles late knows better than the estimate that
-- it expired with, so its figures are set right by a correction, once.
--
-- Parameters: p_n                  the settlement's number
--             p_id, p_created_at   of the row; null: a ticket that is none
--             p_state and tokens   as fpm.settle has them
-- Returns:    one row. done: false; state and cost_cents: the row's, null where there is none. done: null where the correction is still to be made, because the supplier
--             is being deleted, or locked otherwise, at this moment: ask again
-- Calls:      fpm.correct
-- Tables:     reads public.ai_usage_tracking, public.user_profiles
create or replace function fpm.settle_late(p_n int, p_id uuid, p_created_at timestamptz, p_state text, p_prompt_tokens bigint, p_cached_tokens bigint,
	p_completion_tokens bigint) returns fpm.settlement
language plpgsql volatile set enable_seqscan = off set enable_bitmapscan = off
as $$
declare
	r fpm.settlement;
	v_void boolean := p_state = 'void';
	v_supplier uuid;
begin
	r.n := p_n;
	r.done := false;
	select t.state, trim_scale(t.cost_cents)::text, t.supplier_id into r.state, r.cost_cents, v_supplier
	from public.ai_usage_tracking t
	where t.id = p_id and t.created_at = p_created_at;
	if r.state = 'expired' and p_state in ('settled', 'failed', 'aborted', 'void') then
		-- Whoever holds its supplier's row is not waited for.
		perform from public.user_profiles u where u.id = v_supplier for key share skip locked;
		if not found then
			r.done := null;
			return r;
		end if;
		perform fpm.correct(p_id => p_id, p_created_at => p_created_at, p_prompt_tokens => case when v_void then 0 else p_prompt_tokens end,
			p_cached_tokens => p_cached_tokens, p_completion_tokens => case when v_void then 0 else p_completion_tokens end,
			p_reason => 'settled_late', p_once => true);
	end if;
	return r;
end
$$;
