-- idempotency_fate: what became of the request that holds a key. The ledger says: a key is free again exactly where nothing was spent under it.
--
-- Parameters: p_key
-- Returns:    open (it may be at work, or its row has not ended), free, or spent
-- Calls:      nothing
-- Tables:     reads public.ai_usage_tracking, fpm.archived_months
create or replace function fpm.idempotency_fate(p_key fpm.idempotency_keys) returns text
language plpgsql volatile
as $$
declare
	v_state text;
	v_tokens bigint;
begin
	if p_key.row_id is not null then
		select t.state, t.tokens_used into v_state, v_tokens
		from public.ai_usage_tracking t where t.id = p_key.row_id and t.created_at = p_key.row_created_at;
		if not found then
			return 'spent'; -- its month is archived, and no open row's is
		end if;
	elsif p_key.lease_until > clock_timestamp() then
		return 'open';
	else
		-- Seldom: its process died, or lost the database. A second, for a clock that was set back between the two.
		select t.state, t.tokens_used into v_state, v_tokens
		from public.ai_usage_tracking t
		where t.supplier_id = p_key.supplier_id and t.created_at >= p_key.claimed_at - interval '1 second'
			and t.request_id = p_key.request_id and t.state <> 'correction'
		limit 1;
		if not found then
			return case when exists (select from fpm.archived_months a
				where a.month >= date_trunc('month', p_key.claimed_at at time zone 'UTC')) then 'spent' else 'free' end;
		end if;
	end if;
	return case when v_state = 'reserved' then 'open' when v_state = 'failed' and v_tokens = 0 then 'free' else 'spent' end;
end
$$;
