-- Who owns and who may what. Runs at every migrate, and comes to the same however often it does. What is not granted here, nobody has.
-- What takes a lock on a table is done only where it is missing, so that running it on a system in full work stops nobody: a migration that changes a
-- policy or a trigger drops the old one, and it is made anew here.

-- Everything of ours belongs to fpm_owner; nobody else has any right to it but by the lines below.
do $$
declare
	v_item record;
	v_others text := 'public';
begin
	-- Supabase grants its own roles everything that is made in public.
	select 'public, ' || string_agg(quote_ident(r.rolname), ', ') into v_others
	from pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role', 'fpm_worker', 'fpm_operator');

	grant create on schema public to fpm_owner; -- only an owner that could create a table can be given one
	for v_item in
		select c.oid::regclass as name, case when c.relkind = 'S' then 'sequence' else 'table' end as kind,
			pg_get_userbyid(c.relowner) = 'fpm_owner' as owned, c.relkind = 'S' and exists (
				select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')) as follows
		from pg_class c
		where c.relkind in ('r', 'p', 'S')
			and (c.relnamespace = 'fpm'::regnamespace
				or c.oid = any (array['public.ai_usage_tracking', 'public.ai_models', 'public.ai_response_cache', 'public.ai_usage_limits']::regclass[])
				or (c.oid = 'public.user_profiles'::regclass and obj_description(c.oid, 'pg_class') = 'suppliers, by prompt-fpm'))
	loop
		if not v_item.owned and not v_item.follows then
			execute format('alter %s %s owner to fpm_owner', v_item.kind, v_item.name);
		end if;
		execute format('revoke all on %s from %s', v_item.name, v_others);
	end loop;
	for v_item in
		select p.oid::regprocedure as name, pg_get_userbyid(p.proowner) = 'fpm_owner' as owned from pg_proc p where p.pronamespace = 'fpm'::regnamespace
	loop
		if not v_item.owned then
			execute format('alter function %s owner to fpm_owner', v_item.name);
		end if;
		execute format('revoke all on function %s from %s', v_item.name, v_others);
	end loop;
	revoke create on schema public from fpm_owner;
	execute format('revoke all on schema fpm from %s', v_others);
end
$$;

-- The suppliers' table may be somebody else's, with policies of its own: then the owner is let past them.
do $$
begin
	if pg_get_userbyid((select c.relowner from pg_class c where c.oid = 'public.user_profiles'::regclass)) = 'fpm_owner' then
		grant select on public.user_profiles to authenticated;
		return;
	end if;
	grant select, insert, references on public.user_profiles to fpm_owner;
	grant update (organization_id, subscription_tier) on public.user_profiles to fpm_owner;
	if not exists (select from pg_policy p where p.polrelid = 'public.user_profiles'::regclass and p.polname = 'prompt_fpm_manages_suppliers') then
		create policy prompt_fpm_manages_suppliers on public.user_profiles to fpm_owner using (true) with check (true);
	end if;
end
$$;

-- The daemon: functions, no table.
grant usage on schema fpm to fpm_worker, fpm_operator, authenticated;
grant execute on function
	fpm.authenticate(text),
	fpm.admit_calls(fpm.admit_call[]),
	fpm.admit_ready(fpm.ready_call[]),
	fpm.settle_calls(fpm.settle_call[]),
	fpm.admit(text, text, text, text, text, text, int, int, int, bigint, bigint, int, text, text, int, bigint, bigint, text, boolean),
	fpm.settle(text, text, bigint, bigint, bigint, boolean, bigint, text, text),
	fpm.void_request(text, text, text),
	fpm.count_refusals(jsonb),
	fpm.sweep(text, bigint),
	fpm.usage_report(text, date, date, text),
	fpm.idempotency_claim(text, text, text, text, text, bigint, bigint, bigint),
	fpm.idempotency_store(text, text, text, text, boolean, text, text, text, text),
	fpm.idempotency_release(text, text, text),
	fpm.models_missing(text[]) -- of promptctl doctor, which looks as the daemon
to fpm_worker;

-- promptctl.
grant execute on function
	fpm.supplier_add(uuid, uuid, text), fpm.supplier_set_tier(uuid, text), fpm.supplier_list(), fpm.plan_known(text),
	fpm.key_create(uuid, text, text, text), fpm.key_revoke(text), fpm.key_list(uuid),
	fpm.usage(uuid, date, date), fpm.invoice(date, uuid), fpm.refused(uuid, date, date), fpm.audit(date, date),
	fpm.correct(uuid, timestamptz, bigint, bigint, bigint, text, boolean), fpm.ledger_archive(date), fpm.sweep(text, bigint), fpm.create_partitions(int),
	fpm.call_find(text), fpm.model_list(), fpm.models_missing(text[]), fpm.model_add(text, text, numeric, numeric, numeric, integer, boolean),
	fpm.model_price(text, text, numeric, numeric, numeric), fpm.model_activate(text, text, boolean)
to fpm_operator;

-- Suppliers, signed in: their own rows and their organisation's, read only.
grant select on public.ai_usage_tracking, public.ai_response_cache to authenticated;
grant execute on function fpm.own_organization(), fpm.own_colleagues() to authenticated;

do $$
declare
	v_table regclass;
	v_policy record;
begin
	foreach v_table in array array['public.ai_usage_tracking', 'public.ai_response_cache', 'public.ai_models', 'public.ai_usage_limits',
		'public.user_profiles']::regclass[] loop
		if not (select c.relrowsecurity or pg_get_userbyid(c.relowner) <> 'fpm_owner' from pg_class c where c.oid = v_table) then
			execute format('alter table %s enable row level security', v_table);
		end if;
	end loop;
	for v_policy in
		select v.* from (values
			('public.ai_usage_tracking'::regclass, 'suppliers_read_own_usage',
				'supplier_id = (select auth.uid()) or organization_id = (select fpm.own_organization())
					or (organization_id is null and worker is null and supplier_id = any ((select fpm.own_colleagues())::uuid[]))'),
			('public.ai_response_cache'::regclass, 'suppliers_read_cache_in_scope',
				'(select auth.uid()) is not null and (scope = ''shared'' or supplier_id = (select auth.uid())
					or organization_id = (select fpm.own_organization()))'),
			('public.user_profiles'::regclass, 'suppliers_read_own_profile', 'id = (select auth.uid())')) v (on_table, name, readable)
		join pg_class c on c.oid = v.on_table and pg_get_userbyid(c.relowner) = 'fpm_owner'
		where not exists (select from pg_policy p where p.polrelid = v.on_table and p.polname = v.name)
	loop
		execute format('create policy %I on %s for select to authenticated using (%s)', v_policy.name, v_policy.on_table, v_policy.readable);
	end loop;

	if not exists (select from pg_trigger t where t.tgrelid = 'public.ai_models'::regclass and t.tgname = 'ai_models_price') then
		create trigger ai_models_price before insert or update on public.ai_models
			for each row execute function fpm.stamp_price();
	end if;
	if not exists (select from pg_trigger t where t.tgrelid = 'public.user_profiles'::regclass and t.tgname = 'prompt_fpm_forgets_answers') then
		create trigger prompt_fpm_forgets_answers after delete on public.user_profiles
			for each row execute function fpm.forget_answers();
	end if;
	if not exists (select from pg_trigger t where t.tgrelid = 'public.user_profiles'::regclass and t.tgname = 'prompt_fpm_forgets_sums') then
		create trigger prompt_fpm_forgets_sums before delete on public.user_profiles
			for each row execute function fpm.forget_sums();
	end if;
end
$$;

select fpm.create_partitions();
