-- idempotency_claim: may this request be made under its key? A key is a supplier's own: the same key of another supplier is another.
--
-- Parameters: p_key_hash             SHA-256 of the caller's key, in hex
--             p_key_digest           SHA-256 of the path and the idempotency key, in hex
--             p_fingerprint          SHA-256 of all that a retry must repeat
--             p_request_id, p_worker
--             p_timeout_ms, p_grace_ms  how long the request may be at work
--             p_keep_ms              how long the key is kept
-- Returns:    one row. verdict: claimed (make the call; then idempotency_store or idempotency_release), replay (the other columns hold what was answered, to the
--             request that request_id names), in_flight, lost (something was spent under the key, and no answer was kept), mismatch (another request's key),
--             unauthenticated, busy (somebody holds the supplier's row). Never raises.
-- Calls:      fpm.idempotency_fate
-- Tables:     reads fpm.api_keys, public.user_profiles; writes fpm.idempotency_keys
--
-- Its commit is not waited for: the admission that follows is, and what was written before it is flushed with it.
create or replace function fpm.idempotency_claim(
	p_key_hash text, p_key_digest text, p_fingerprint text, p_request_id text, p_worker text, p_timeout_ms bigint, p_grace_ms bigint, p_keep_ms bigint,
	out verdict text, out request_id text, out stream boolean, out model text, out problem text, out content text, out usage text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
	v_most constant bigint := 31622400000; -- a year
	v_lease constant interval := (least(greatest(coalesce(p_timeout_ms, 0), 0), v_most) + least(greatest(coalesce(p_grace_ms, 0), 0), v_most))
		* interval '1 millisecond';
	v_keep constant interval := greatest(v_lease, least(greatest(coalesce(p_keep_ms, 0), 0), v_most) * interval '1 millisecond');
	v_now timestamptz;
	v_fate text;
	v_new fpm.idempotency_keys;
	v_held fpm.idempotency_keys;
begin
	perform set_config('synchronous_commit', 'off', true);
	select k.supplier_id into v_new.supplier_id
	from fpm.api_keys k join public.user_profiles u on u.id = k.supplier_id
	where k.key_hash = p_key_hash and k.revoked_at is null
	for key share of u skip locked; -- whoever deletes the supplier, or holds its row otherwise, is not waited for
	if not found and exists (
		select from fpm.api_keys k join public.user_profiles u on u.id = k.supplier_id where k.key_hash = p_key_hash and k.revoked_at is null) then
		verdict := 'busy';
		return;
	end if;
	if v_new.supplier_id is null or p_key_digest is null or p_fingerprint is null or p_request_id is null or p_key_digest !~ '^[0-9a-f]{64}$' then
		verdict := 'unauthenticated';
		return;
	end if;
	v_new.key_digest := p_key_digest;
	v_new.fingerprint := p_fingerprint;
	v_new.request_id := p_request_id;
	v_new.worker := p_worker;

	loop -- until one of those that ask at the same time has it
		v_now := clock_timestamp();
		v_new.claimed_at := v_now;
		v_new.lease_until := v_now + v_lease;
		v_new.expires_at := v_now + v_keep;
		insert into fpm.idempotency_keys select v_new.* on conflict do nothing;
		exit when found;
		select k.* into v_held from fpm.idempotency_keys k where k.supplier_id = v_new.supplier_id and k.key_digest = p_key_digest;
		continue when not found; -- given up, or swept, a moment ago
		v_fate := fpm.idempotency_fate(v_held);
		if v_fate <> 'free' and (v_fate = 'open' or v_held.expires_at > v_now) then
			verdict := case when v_held.fingerprint <> p_fingerprint then 'mismatch' when v_fate = 'open' then 'in_flight'
				when v_held.row_id is null then 'lost' else 'replay' end;
			if verdict = 'replay' then
				request_id := v_held.request_id;
				stream := v_held.stream;
				model := v_held.model;
				problem := v_held.problem;
				content := v_held.content;
				usage := v_held.usage;
			end if;
			return;
		end if;
		-- Free, or past its time: whoever takes it away is the one who makes the call.
		delete from fpm.idempotency_keys k
		where k.supplier_id = v_held.supplier_id and k.key_digest = v_held.key_digest and k.request_id = v_held.request_id;
	end loop;
	verdict := 'claimed';
end
$$;
