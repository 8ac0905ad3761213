-- idempotency_fate: what became of the request that holds a key. The ledger says: a key is free again exactly where nothing was spent under it.
--
-- Parameters: p_key
-- Returns:    open (it may be at work, or a row of its has not ended), free, or spent
-- Calls:      nothing
-- Tables:     reads public.ai_usage_tracking, fpm.archived_months
create or replace function fpm.idempotency_fate(p_key fpm.idempotency_keys) returns text
language plpgsql volatile
as $$
declare
	v_state text;
	v_tokens bigint;
	v_rows bigint;
	v_open boolean;
	v_spent boolean;
begin
	if p_key.row_id is not null then
		select t.state, t.tokens_used into v_state, v_tokens
		from public.ai_usage_tracking t where t.id = p_key.row_id and t.created_at = p_key.row_created_at;
		if not found then
			return 'spent'; -- its month is archived, and no open row's is
		elsif v_state <> 'failed' or v_tokens > 0 then
			return case v_state when 'reserved' then 'open' else 'spent' end;
		end if;
	elsif p_key.lease_until > clock_timestamp() then
		return 'open';
	end if;
	-- Seldom: a failure, or its process died, or lost the database. A request has a row for each model that it asked. A second, for a clock that was set back meanwhile.
	select count(*), bool_or(t.state = 'reserved'), bool_or(t.state <> 'failed' or t.tokens_used > 0) into v_rows, v_open, v_spent
	from public.ai_usage_tracking t
	where t.supplier_id = p_key.supplier_id and t.created_at >= p_key.claimed_at - interval '1 second'
		and t.request_id = p_key.request_id and t.state <> 'correction';
	if v_rows = 0 then
		v_spent := exists (select from fpm.archived_months a where a.month >= date_trunc('month', p_key.claimed_at at time zone 'UTC'));
	end if;
	return case when v_open then 'open' when v_spent then 'spent' else 'free' end;
end
$$;
