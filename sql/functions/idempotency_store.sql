-- idempotency_store: keeps what a request that holds a key is answered. Called before the row's settlement: it is replayed only once the row has ended with
-- something spent, so that there is no moment at which a call is charged and its answer is not there.
--
-- Parameters: p_supplier, p_key_digest, p_request_id  of the claim
--             p_ticket              of the ledger's row, as admit gave it
--             p_stream, p_model
--             p_problem             the code of the catalogue with which it ended; null: none
--             p_content, p_usage    the JSON answer; of a stream its text and its closing usage
-- Returns:    whether it is kept: not where the claim is somebody else's by now, the row another's, or the answer too large. Never raises.
-- Calls:      nothing
-- Tables:     reads public.ai_usage_tracking; writes fpm.idempotency_keys
create or replace function fpm.idempotency_store(p_supplier text, p_key_digest text, p_request_id text, p_ticket text, p_stream boolean, p_model text,
	p_problem text, p_content text, p_usage text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_id uuid;
	v_created_at timestamptz;
begin
	perform set_config('synchronous_commit', 'off', true); -- as in idempotency_claim: the settlement's flush is waited for
	if p_supplier !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' or octet_length(p_content) > 4194304
		or p_ticket !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][0-9]{1,16}[.]-?[0-9]{1,19}$' then
		return false;
	end if;
	v_id := left(p_ticket, 36);
	v_created_at := 'epoch'::timestamptz + split_part(p_ticket, '.', 2)::bigint * interval '1 microsecond';
	update fpm.idempotency_keys k
	set row_id = v_id, row_created_at = v_created_at, stream = coalesce(p_stream, false), model = p_model, problem = p_problem, content = p_content,
		usage = p_usage
	where k.supplier_id = p_supplier::uuid and k.key_digest = p_key_digest and k.request_id = p_request_id
		and exists (select from public.ai_usage_tracking t
			where t.id = v_id and t.created_at = v_created_at and t.supplier_id = k.supplier_id and t.request_id = p_request_id);
	return found;
end
$$;
