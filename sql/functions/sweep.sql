-- sweep: ends what nobody ended. Reservations past their time, or all of a worker that died, become expired rows charged by the stated estimate; old
-- cache entries go, and those that are too much; hits noted aside are added; idempotency keys and refusal counts go when their time is over; partitions
-- are made ahead. In small portions: call it again while it says that there is more.
--
-- Parameters: p_worker     null; or the name of a worker that is known to be dead
--             p_cache_max  the most bytes of answers that the cache may keep; null: no bound
-- Returns:    one row: how many reservations expired, how many cache entries and how many idempotency keys went, and whether there is more of any; of a worker,
--             whether anything of it is still open: where nothing expired, somebody holds it just now
-- Calls:      fpm.create_partitions, fpm.end_calls, fpm.sweep_cache, fpm.bound_cache, fpm.sweep_idempotency
-- Tables:     reads public.user_profiles; writes fpm.ai_usage_open, fpm.refusals, fpm.idempotency_keys, and what those write
--
-- Call it in a transaction of its own. One general sweep is at work at a time, whichever machine's it is: another finds the lock taken and does nothing. Sweeps
-- after dead workers run beside it. It waits for an advisory lock only as long as it holds none that others wait for, so it takes part in no deadlock.
create or replace function fpm.sweep(p_worker text, p_cache_max bigint default null, out expired bigint, out cache bigint, out keys bigint, out more boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
as $$
declare
	v_portion constant int := 1000;
	v_row record;
	v_key bigint;
	v_held bigint[] := '{}';
	v_ended fpm.settle_call[] := '{}';
	v_seen int := 0;
	v_refusals bigint;
begin
	expired := 0;
	cache := 0;
	keys := 0;
	more := false;
	if p_worker is null and not pg_try_advisory_xact_lock(hashtextextended('fpm:sweep', 0)) then
		return;
	end if;
	-- A new partition locks the whole ledger, and that must not meet the locks below in one transaction.
	if p_worker is null and fpm.create_partitions() > 0 then
		more := true;
		return;
	end if;
	if p_worker is not null then
		-- Those whose lock is taken just now stay open, and `more` says so.
		update fpm.ai_usage_open r set expires_at = clock_timestamp()
		where r.id in (select f.id from fpm.ai_usage_open f where f.worker = p_worker and f.expires_at > clock_timestamp() for update skip locked);
		-- What it was answering, nobody will.
		update fpm.idempotency_keys k set lease_until = clock_timestamp()
		where (k.supplier_id, k.key_digest) in (select f.supplier_id, f.key_digest from fpm.idempotency_keys f
			where f.worker = p_worker and f.row_id is null and f.lease_until > clock_timestamp() for update skip locked);
	end if;

	for v_row in
		select o.id, o.created_at, o.prompt_estimate, o.max_tokens, fpm.lock_key(o.supplier_id, o.feature_type) as lock_key
		from fpm.ai_usage_open o
		where o.expires_at <= clock_timestamp() and (p_worker is null or o.worker = p_worker)
			and (select u.id from public.user_profiles u where u.id = o.supplier_id for key share skip locked) is not null -- else end_calls could not end it now
		order by o.expires_at limit v_portion
	loop
		v_seen := v_seen + 1;
		v_key := v_row.lock_key;
		if not v_key = any (v_held) then
			if cardinality(v_held) = 0 and p_worker is null then
				perform pg_advisory_xact_lock(v_key);
			elsif not pg_try_advisory_xact_lock(v_key) then
				continue;
			end if;
			v_held := v_held || v_key;
		end if;
		-- Whether the provider did the work cannot be known: it is charged the stated estimate, and says so.
		v_ended := v_ended || row(v_row.id, null, v_key, 'expired', v_row.prompt_estimate, 0, v_row.max_tokens, true,
			(extract(epoch from clock_timestamp() - v_row.created_at) * 1000)::bigint, 'expired', null, 1)::fpm.settle_call;
	end loop;
	expired := cardinality(fpm.end_calls(p_calls => v_ended, p_apart => false));
	more := v_seen = v_portion and expired > 0;

	if p_worker is not null then
		more := exists (select from fpm.ai_usage_open o where o.worker = p_worker);
	else
		cache := fpm.sweep_cache(v_portion / 2);
		more := more or cache = v_portion / 2;
		if cache = 0 and p_cache_max is not null then
			cache := fpm.bound_cache(p_cache_max, v_portion / 2);
			more := more or cache = v_portion / 2;
		end if;
		keys := fpm.sweep_idempotency(v_portion);
		delete from fpm.refusals r
		where r.ctid = any (array(select o.ctid
			from fpm.refusals o where o.minute < clock_timestamp() - interval '90 days' limit v_portion for update skip locked));
		get diagnostics v_refusals = row_count;
		more := more or keys = v_portion or v_refusals = v_portion;
	end if;
end
$$;
