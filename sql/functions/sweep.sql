-- sweep: ends what nobody ended. Reservations past their time, or all of a worker that died, become expired rows charged by the stated estimate; old
-- cache entries go, hits noted aside are added, old refusal counts go, partitions are made ahead. In small portions: call it again while it finds
-- something.
--
-- Parameters: p_worker  null; or the name of a worker that is known to be dead
-- Returns:    one row: how many reservations expired, how many cache entries went
-- Calls:      fpm.create_partitions, fpm.expire, fpm.sweep_cache
-- Tables:     writes fpm.reservations, fpm.refusals, and what those write
--
-- Call it in a transaction of its own. Any number may run at once. It waits for an advisory lock only as long as it holds none, so it takes part in
-- no deadlock.
create or replace function fpm.sweep(p_worker text, out expired bigint, out cache bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
as $$
declare
	v_row fpm.reservations;
	v_key bigint;
	v_held bigint[] := '{}';
begin
	expired := 0;
	cache := 0;
	-- A new partition locks the whole ledger, and that must not meet the locks below in one transaction.
	if p_worker is null and fpm.create_partitions() > 0 then
		return;
	end if;
	if p_worker is not null then
		-- For those whose lock is taken just now: the next sweep ends them.
		update fpm.reservations r set expires_at = clock_timestamp()
		where r.id in (select f.id from fpm.reservations f where f.worker = p_worker and f.expires_at > clock_timestamp() for update skip locked);
	end if;

	for v_row in
		select * from fpm.reservations r
		where r.expires_at <= clock_timestamp() and (p_worker is null or r.worker = p_worker)
		order by r.expires_at limit 1000
	loop
		v_key := fpm.lock_key(v_row.supplier_id, v_row.feature_type);
		if not v_key = any (v_held) then
			if cardinality(v_held) = 0 and p_worker is null then
				perform pg_advisory_xact_lock(v_key);
			elsif not pg_try_advisory_xact_lock(v_key) then
				continue;
			end if;
			v_held := v_held || v_key;
		end if;
		expired := expired + fpm.expire(v_row.id);
	end loop;

	if p_worker is null and pg_try_advisory_xact_lock(hashtextextended('fpm:sweep', 0)) then
		cache := fpm.sweep_cache(500);
		delete from fpm.refusals r
		where r.ctid = any (array(select o.ctid
			from fpm.refusals o where o.minute < clock_timestamp() - interval '90 days' limit 1000 for update skip locked));
	end if;
end
$$;
