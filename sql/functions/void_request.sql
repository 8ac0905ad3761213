-- void_request: ends a reservation whose admission was never answered, because the connection broke while it ran: nothing was sent for it.
--
-- Parameters: p_request_id, p_supplier, p_feature  as admit was given them; its lock is waited for, so that an admission which still runs is seen
-- Returns:    whether there was one. Never raises.
-- Calls:      fpm.settle, fpm.lock_key, fpm.ticket
-- Tables:     reads fpm.ai_usage_open (the open calls: few)
create or replace function fpm.void_request(p_request_id text, p_supplier text, p_feature text)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_ticket text;
	v_done boolean := false;
begin
	if p_supplier !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
		return false;
	end if;
	perform pg_advisory_xact_lock(fpm.lock_key(p_supplier::uuid, p_feature));
	select fpm.ticket(p_id => r.id, p_created_us => (extract(epoch from r.created_at) * 1000000)::bigint, p_lock_key => fpm.lock_key(r.supplier_id, r.feature_type)) into v_ticket
	from fpm.ai_usage_open r
	where r.supplier_id = p_supplier::uuid and r.feature_type = p_feature and r.request_id = p_request_id;
	if found then
		select s.done into v_done
		from fpm.settle(p_ticket => v_ticket, p_state => 'void', p_prompt_tokens => 0, p_cached_tokens => 0, p_completion_tokens => 0, p_estimated => false,
			p_duration_ms => 0, p_error => 'database_unavailable', p_content => null) s;
	end if;
	return v_done;
end
$$;
