begin;
\ir lib/fixture.sql
select plan(46);

select pg_temp.supplier('ann', 'starter', 'org');
select pg_temp.supplier('ben', 'starter', 'org');
select pg_temp.supplier('zoe', 'starter', 'other org');

-- The owner, the worker, the operator: no logins, and no more than they need.
select is((select string_agg(rolname, ' ' order by rolname) from pg_roles
	where rolname in ('fpm_owner', 'fpm_worker', 'fpm_operator') and not rolcanlogin and not rolsuper and not rolcreaterole and not rolbypassrls),
	'fpm_operator fpm_owner fpm_worker', 'the roles can do nothing by themselves');
select is_empty($$
	select p.oid::regprocedure from pg_proc p
	where p.pronamespace = 'fpm'::regnamespace and p.prosecdef and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
$$, 'every security-definer function pins its search_path');
select is_empty($$
	select p.oid::regprocedure from pg_proc p where p.pronamespace = 'fpm'::regnamespace and pg_get_userbyid(p.proowner) <> 'fpm_owner'
$$, 'and belongs to fpm_owner');
select is_empty($$
	select p.oid::regprocedure from pg_proc p
	where p.pronamespace = 'fpm'::regnamespace and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))
$$, 'PUBLIC may execute none');
select is_empty($$
	select c.oid::regclass from pg_class c
	where (c.relnamespace = 'fpm'::regnamespace or c.relname ~ '^ai_') and c.relkind in ('r', 'p', 'S') and pg_get_userbyid(c.relowner) <> 'fpm_owner'
$$, 'every table belongs to fpm_owner');
select is_empty($$
	select c.oid::regclass, r.rolname, p.privilege
	from pg_class c, pg_roles r, unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p (privilege)
	where c.relkind in ('r', 'p', 'v', 'm', 'f') and (c.relnamespace = 'fpm'::regnamespace or c.oid::regclass::text ~ '^(ai_|user_profiles)')
		and r.rolname in ('fpm_worker', 'fpm_operator') and has_table_privilege(r.oid, c.oid, p.privilege)
$$, 'worker and operator may touch no table');
select set_eq($$
	select p.proname::text from pg_proc p where p.pronamespace = 'fpm'::regnamespace and has_function_privilege('fpm_worker', p.oid, 'execute')
$$, array['authenticate', 'admit_ready', 'admit_calls', 'settle_calls', 'admit', 'settle', 'count_refusals', 'sweep', 'void_request', 'usage_report', 'idempotency_claim',
	'idempotency_store', 'idempotency_release', 'models_missing'], 'the worker may execute the daemon''s functions');
select set_eq($$
	select p.proname::text from pg_proc p where p.pronamespace = 'fpm'::regnamespace and has_function_privilege('authenticated', p.oid, 'execute')
$$, array['own_organization', 'own_colleagues'], 'a supplier only what its policies need');
select ok(not has_schema_privilege('fpm_owner', 'public', 'create'), 'the owner makes nothing in public');
select ok(not has_schema_privilege('fpm_worker', 'fpm', 'create'), 'nor the worker in fpm');
select is_empty($$
	select c.oid::regclass, p.privilege
	from pg_class c, unnest(array['insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p (privilege)
	where c.relkind in ('r', 'p') and (c.relnamespace = 'fpm'::regnamespace or c.oid::regclass::text ~ '^(ai_|user_profiles)')
		and has_table_privilege('authenticated', c.oid, p.privilege)
$$, 'a supplier may write no table');

-- The worker works.
set local role fpm_worker;
select is((select supplier_id from fpm.authenticate(pg_temp.key('ann'))), pg_temp.id('ann')::text, 'the worker authenticates');
select is((select organization_id || ' ' || tier from fpm.authenticate(pg_temp.key('ann'))), pg_temp.id('org') || ' starter', 'organisation and tier too');
select is_empty($$select * from fpm.authenticate('nothing')$$, 'an unknown key is nobody''s');
create temp table t as select n as name, a.* from unnest(array['ann', 'ben', 'zoe']) n, pg_temp.admit(n, p_content => 'c of ' || n, p_scope => 'supplier') a;
select is((select count(*) from t where verdict = 'admitted'), 3::bigint, 'admits');
select is((select count(*) from t, pg_temp.settle(t.ticket, p_content => 'only for ' || t.name) s where s.done), 3::bigint, 'settles');
select is((select s.done from pg_temp.admit('zoe', p_content => 'o', p_scope => 'organization') a, pg_temp.settle(a.ticket, p_content => 'only for zoe''s organisation') s),
	true, 'keeps answers');
select is((select s.done from pg_temp.admit('ann', p_content => 'o', p_scope => 'organization') a, pg_temp.settle(a.ticket, p_content => 'only for ann''s organisation') s),
	true, 'by scope');
select is((select s.done from pg_temp.admit('zoe', p_content => 's') a, pg_temp.settle(a.ticket, p_content => 'for all') s), true, 'or for all');
select lives_ok('select * from fpm.sweep(null)', 'sweeps');
select is(fpm.count_refusals('[{"supplier": null, "feature": "f", "reason": "r", "count": 1}]'), 1, 'and counts refusals');
select throws_ok(format('select 1 from %s', r), '42501', null, 'but reads no ' || r)
from unnest(array['public.ai_usage_tracking', 'public.ai_response_cache', 'public.ai_models', 'public.ai_usage_limits', 'public.user_profiles', 'fpm.api_keys',
	'fpm.counters', 'fpm.ai_usage_open']) r;
select throws_ok($$select fpm.usage()$$, '42501', null, 'nor reports');
reset role;

-- Suppliers see what is theirs.
create function pg_temp.signed_in(p_claims text) returns void language plpgsql as $$
begin
	perform set_config('role', 'authenticated', true), set_config('request.jwt.claims', p_claims, true);
end
$$;
create function pg_temp.rows_seen() returns text language sql as $$
	select string_agg(v.who || ' ' || v.n, ', ' order by v.who) from (
		select case t.supplier_id when pg_temp.id('ann') then 'ann' when pg_temp.id('ben') then 'ben' else 'zoe' end as who, count(*) as n
		from public.ai_usage_tracking t group by 1) v
$$;
create function pg_temp.answers_seen() returns text language sql as $$
	select string_agg(a.response_content, ', ' order by a.response_content) from public.ai_response_cache a
$$;
insert into public.ai_usage_tracking (supplier_id, feature_type, model_used) values (pg_temp.id('ben'), 'imported', 'gpt-4');

select pg_temp.signed_in(json_build_object('sub', pg_temp.id('ann'))::text);
select is(auth.uid(), pg_temp.id('ann'), 'Ann is signed in');
select is(pg_temp.rows_seen(), 'ann 2, ben 2', 'sees her own rows and her organisation''s');
select is(pg_temp.answers_seen(), 'for all, only for ann, only for ann''s organisation', 'and answers in her scopes');
select is((select count(*) from public.user_profiles), 1::bigint, 'and her profile');
reset role;
select pg_temp.signed_in(json_build_object('sub', pg_temp.id('zoe'))::text);
select is(pg_temp.rows_seen(), 'zoe 3', 'Zoe sees hers');
select is(pg_temp.answers_seen(), 'for all, only for zoe, only for zoe''s organisation', 'and her answers');
select throws_ok('select * from public.' || r, '42501', null, 'nothing of ' || r) from unnest(array['ai_models', 'ai_usage_limits']) r;
select throws_ok('select * from fpm.' || r, '42501', null, 'nothing of ' || r) from unnest(array['api_keys', 'counters', 'usage_daily']) r;
reset role;
select pg_temp.signed_in(claims) from unnest(array['{}']) claims;
select is(pg_temp.rows_seen(), null, 'nobody signed in sees no row');
select is(pg_temp.answers_seen(), null, 'and no answer');
reset role;
select pg_temp.signed_in('');
select is(pg_temp.rows_seen(), null, 'nor without claims');
reset role;
update public.user_profiles set organization_id = pg_temp.id('other org') where id = pg_temp.id('ben');
select pg_temp.signed_in(json_build_object('sub', pg_temp.id('zoe'))::text);
select is(pg_temp.rows_seen(), 'ben 1, zoe 3', 'who changes to Zoe''s organisation does not bring along the rows made in the old one');
reset role;
select pg_temp.signed_in(json_build_object('sub', pg_temp.id('ann'))::text);
select is(pg_temp.rows_seen(), 'ann 2, ben 1', 'which keeps them');
reset role;

select * from finish();
rollback;
