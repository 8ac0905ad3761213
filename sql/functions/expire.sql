-- expire: ends one reservation that nobody settled. Whether the provider did the work cannot be known: it is charged the stated estimate, and says
-- so. The caller holds the advisory lock of supplier and feature.
--
-- Parameters: p_id  the ledger row's
-- Returns:    1, or 0 where it had ended meanwhile, or is gone with its supplier
-- Calls:      fpm.end_row
-- Tables:     writes fpm.reservations, and what end_row writes
create or replace function fpm.expire(p_id uuid) returns int
language plpgsql volatile
as $$
declare
	v_row fpm.reservations;
	v_cost numeric;
begin
	delete from fpm.reservations r where r.id = p_id returning r.* into v_row;
	if not found then
		return 0;
	end if;
	v_cost := fpm.end_row(p_row => v_row, p_state => 'expired', p_prompt_tokens => v_row.prompt_estimate, p_cached_tokens => 0,
		p_completion_tokens => v_row.max_tokens, p_estimated => true,
		p_duration_ms => (extract(epoch from clock_timestamp() - v_row.created_at) * 1000)::bigint, p_error => 'expired');
	return (v_cost is not null)::int;
end
$$;
