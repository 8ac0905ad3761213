-- Two tenants: Ann, with everything the product keeps of a supplier, and Zoe, who is to see, learn or be able to guess nothing of it. Goes over every table and every
-- function there is in the catalogue: one that is not named here fails the test, until somebody has said who may see what of it.
begin;
\ir lib/fixture.sql
select no_plan();

-- Every table of ours. of_supplier: it holds rows of suppliers, and so some of Ann's below. readable: by a supplier who is signed in, as far as the row is hers.
create temp table stated_table (name text primary key, of_supplier boolean, readable boolean);
insert into stated_table values
	('public.user_profiles', true, true),
	('public.ai_usage_tracking', true, true), -- and its partitions, which are nobody's to read
	('public.ai_response_cache', true, true),
	('public.ai_models', false, false),
	('public.ai_usage_limits', false, false),
	('fpm.ai_usage_ended', true, false),
	('fpm.api_keys', true, false),
	('fpm.archived_months', false, false),
	('fpm.cache_hits_pending', false, false),
	('fpm.counters', true, false),
	('fpm.idempotency_keys', true, false),
	('fpm.migrations', false, false),
	('fpm.model_prices', false, false),
	('fpm.rate_buckets', true, false),
	('fpm.refusals', true, false),
	('fpm.usage_daily', true, false);

-- Every function that anybody but the owner may execute, and by whom. as_zoe: what it is asked in her name; nothing of Ann's may come of it. Without: it is the
-- operator's, who sees everybody's, or a policy's own, tried below.
create temp table stated_function (name text primary key, by_whom text, as_zoe text);
insert into stated_function values
	('authenticate', 'worker', 'select fpm.authenticate(pg_temp.key(''zoe''))::text'),
	('usage_report', 'worker', 'select string_agg(r::text, '' '') from unnest(array[null, ''supplier'', ''organization'', ''everybody'']) scope,
		fpm.usage_report(pg_temp.key(''zoe''), ''2000-01-01'', ''2100-01-01'', scope) r'),
	('admit', 'worker', 'select string_agg(a::text, '' '') from unnest(array[''supplier'', ''organization'', ''off'', ''nonsense'']) scope,
		pg_temp.admit(''zoe'', p_content => ''what ann asked'', p_scope => scope) a'),
	('admit_calls', 'worker', 'select string_agg(r::text, '' '') from unnest(array[''supplier'', ''organization'', ''off'']) scope, fpm.admit_calls(array[row(pg_temp.key(''zoe''),
		''req_of_zoe'', ''email_template'', ''/e'', ''openai'', ''gpt-4o-mini'', 0, 0, 0, 1, 1, 1, encode(sha256(''what ann asked''), ''hex''), scope, 60, 1000, 0, ''w'', false, null,
		1)::fpm.admit_call]) r'),
	('admit_ready', 'worker', 'select string_agg(r::text, '' '') from unnest(array[''supplier'', ''organization'', ''shared'']) scope, unnest(array[pg_temp.id(''ann''), pg_temp.id(''org''),
		pg_temp.id(''zoe'')]) owner, fpm.admit_ready(array[row(gen_random_uuid(), fpm.lock_key(pg_temp.id(''zoe''), ''email_template''), (select k.id from fpm.api_keys k
		where k.key_hash = pg_temp.key(''zoe'')), ''req_of_zoe'', ''email_template'', ''/e'', ''openai'', ''gpt-4o-mini'', 1, 1, 1, fpm.cache_key(scope, owner,
		encode(sha256(''what ann asked''), ''hex'')), scope, owner, 60, 1000, ''w'', false, 1)::fpm.ready_call]) r'),
	('settle_calls', 'worker', 'select string_agg(s::text, '' '') from pg_temp.admit(''zoe'', p_content => ''what zoe asked'', p_scope => ''supplier'') a,
		fpm.settle_calls(array[row(left(a.ticket, 36), split_part(a.ticket, ''.'', 2), split_part(a.ticket, ''.'', 3), ''settled'', 1, 0, 1, false, 1, null, null,
		1)::fpm.settle_call]) s'),
	('settle', 'worker', 'select s::text from pg_temp.admit(''zoe'', p_content => ''what ann asked'', p_scope => ''supplier'') a, pg_temp.settle(a.ticket) s'),
	('void_request', 'worker', 'select fpm.void_request(''req_of_ann'', pg_temp.id(''zoe'')::text, ''email_template'')::text'),
	('idempotency_claim', 'worker', 'select fpm.idempotency_claim(pg_temp.key(''zoe''), k.key_digest, k.fingerprint, ''req_of_zoe'', ''w'', 1000, 0, 1000)::text
		from fpm.idempotency_keys k where k.supplier_id = pg_temp.id(''ann'')'),
	('idempotency_store', 'worker', 'select string_agg(fpm.idempotency_store(pg_temp.id(''zoe'')::text, k.key_digest, k.request_id, a.open, false, ''m'', null, ''c'', null)::text, '' '')
		from fpm.idempotency_keys k, ann a where k.supplier_id = pg_temp.id(''ann'')'),
	('idempotency_release', 'worker', 'select fpm.idempotency_release(pg_temp.id(''zoe'')::text, k.key_digest, k.request_id)::text
		from fpm.idempotency_keys k where k.supplier_id = pg_temp.id(''ann'')'),
	('count_refusals', 'worker', 'select fpm.count_refusals(''[]'')::text'),
	('sweep', 'operator worker', 'select fpm.sweep(null)::text'),
	('own_organization', 'authenticated', null),
	('own_colleagues', 'authenticated', null),
	('audit', 'operator', null), ('call_find', 'operator', null), ('correct', 'operator', null), ('create_partitions', 'operator', null), ('invoice', 'operator', null),
	('key_create', 'operator', null), ('key_list', 'operator', null), ('key_revoke', 'operator', null), ('ledger_archive', 'operator', null),
	('model_activate', 'operator', null), ('model_add', 'operator', null), ('model_list', 'operator', null), ('model_price', 'operator', null), ('plan_known', 'operator', null),
	('models_missing', 'operator worker', null),
	('refused', 'operator', null), ('supplier_add', 'operator', null), ('supplier_list', 'operator', null), ('supplier_set_tier', 'operator', null),
	('usage', 'operator', null);

-- Whoever else the server may know: on Supabase the roles are there already.
do $$ begin
	create role stranger nologin;
	if not exists (select from pg_roles where rolname = 'anon') then
		create role anon nologin;
	end if;
end $$;

select set_eq($$
	select distinct coalesce(i.inhparent, c.oid)::regclass::text from pg_class c left join pg_inherits i on i.inhrelid = c.oid
	where c.relkind in ('r', 'p', 'v', 'm', 'f') and (c.relnamespace = 'fpm'::regnamespace or c.oid::regclass::text ~ '^(ai_|user_profiles)')
$$, $$select name::regclass::text from stated_table$$, 'every table is spoken of here');
select set_eq($$
	select p.proname::text, string_agg(distinct regexp_replace(r.rolname, '^fpm_', ''), ' ' order by regexp_replace(r.rolname, '^fpm_', ''))
	from pg_proc p, pg_roles r
	where p.pronamespace = 'fpm'::regnamespace and r.rolname in ('fpm_worker', 'fpm_operator', 'authenticated', 'anon', 'stranger')
		and has_function_privilege(r.oid, p.oid, 'execute')
	group by 1
$$, $$select name, by_whom from stated_function$$, 'every function that anybody may execute is spoken of here, and who that is');

-- Ann, with something in every table.
select pg_temp.supplier('ann', 'enterprise', 'org');
select pg_temp.supplier('ben', 'enterprise', 'org');
select pg_temp.supplier('zoe', 'enterprise', 'other org');
create function pg_temp.ask(p_name text, p_scope text, p_rate int default 0) returns text language sql as $$
	select ticket from fpm.admit(pg_temp.key(p_name), 'req_of_' || p_name, 'email_template', 'generate-email-template', 'openai', 'gpt-4o-mini', p_rate, 3600, 0, 1000, 250,
		1000, encode(sha256('what ann asked'), 'hex'), p_scope, 3600, 60000, 0, 'w', false)
$$;
create temp table ann as select pg_temp.ask('ann', 'organization') as of_organization, pg_temp.ask('ann', 'supplier', 5) as of_supplier, pg_temp.ask('ann', 'off') as open;
select (pg_temp.settle(of_organization, p_content => 'known to ann''s organisation')).state, (pg_temp.settle(of_supplier, p_content => 'known to ann')).state from ann;
select fpm.count_refusals(jsonb_build_array(jsonb_build_object('supplier', pg_temp.id('ann'), 'feature', 'chatbot', 'reason', 'daily_limit', 'count', 3)));
select (fpm.idempotency_claim(pg_temp.key('ann'), encode(sha256('path and key'), 'hex'), 'request', 'req_of_ann', 'w', 60000, 0, 1000)).verdict;
select fpm.idempotency_store(pg_temp.id('ann')::text, encode(sha256('path and key'), 'hex'), 'req_of_ann', of_supplier, false, 'm', null, 'known to ann', null) from ann;

-- What tells of Ann: her id, her organisation's, her key, her requests, her answers.
create function pg_temp.tells() returns text language sql immutable as $$
	select concat_ws('|', pg_temp.id('ann'), pg_temp.id('ben'), pg_temp.id('org'), pg_temp.key('ann'), 'req_of_ann', 'known to ann', 'pfk_ann')
$$;
-- How many rows that do a role sees with these claims; denied where it may not look at all.
create function pg_temp.seen(p_role text, p_claims text, p_table text) returns text language plpgsql as $$
declare
	v_seen text;
begin
	perform set_config('role', p_role, true), set_config('request.jwt.claims', p_claims, true);
	execute format('select count(*) from %s t where t::text ~ %L', p_table, pg_temp.tells()) into v_seen;
	perform set_config('role', 'none', true);
	return v_seen;
exception when insufficient_privilege then
	return 'denied';
end
$$;
create function pg_temp.claims(p_name text) returns text language sql immutable as $$ select json_build_object('sub', pg_temp.id(p_name), 'role', 'authenticated')::text $$;

select isnt(pg_temp.seen('postgres', '', s.name), '0', 'there is something of Ann''s in ' || s.name) from stated_table s where s.of_supplier;
select is(pg_temp.seen('postgres', '', s.name), '0', 'there is nothing of anybody''s in ' || s.name) from stated_table s where not s.of_supplier;
select isnt(pg_temp.seen('authenticated', pg_temp.claims('ann'), s.name), '0', 'Ann sees hers in ' || s.name) from stated_table s where s.readable;
select is(pg_temp.seen('authenticated', pg_temp.claims('zoe'), s.name), case when s.readable then '0' else 'denied' end, 'Zoe sees nothing of Ann''s in ' || s.name)
from stated_table s;
select is(pg_temp.seen('authenticated', c.claims, s.name), case when s.readable then '0' else 'denied' end, format('nor does who claims %L, in %s', c.claims, s.name))
from stated_table s, (values (''), ('{}'), ('{"sub": ""}'), ('{"sub": null}'), ('{"role": "service_role"}'), ('{"sub": "00000000-0000-0000-0000-000000000000"}')) c (claims);
select is(pg_temp.seen(r, pg_temp.claims('ann'), s.name), 'denied', format('%s may not look at all, whatever is claimed: %s', r, s.name))
from stated_table s, unnest(array['anon', 'stranger', 'fpm_worker', 'fpm_operator']) r;
select is(pg_temp.seen(r, pg_temp.claims('ann'), i.inhrelid::regclass::text), 'denied', format('past the policies, through a partition: %s as %s', i.inhrelid::regclass, r))
from pg_inherits i, unnest(array['authenticated', 'anon', 'stranger', 'fpm_worker', 'fpm_operator']) r where i.inhparent = 'public.ai_usage_tracking'::regclass;
select is_empty($$
	select c.oid::regclass, r from pg_class c, unnest(array['authenticated', 'anon', 'stranger', 'fpm_worker', 'fpm_operator']) r
	where c.relnamespace = 'fpm'::regnamespace and c.relkind = 'S' and has_sequence_privilege(r, c.oid, 'usage, select, update')
$$, 'no sequence tells how much there is');

-- Claims that no front end makes.
select throws_ok(format('select pg_temp.seen(%L, %L, %L)', 'authenticated', c, 'public.ai_usage_tracking'), null, null, 'claims that are none are an error: ' || c)
from unnest(array['{"sub": "x"}', '{"sub": "'' or true"}', 'nonsense']) c;

-- Through what a policy calls, through a function of her own, through what the planner knows.
select set_config('role', 'authenticated', true), set_config('request.jwt.claims', pg_temp.claims('zoe'), true);
select is(fpm.own_organization(), pg_temp.id('other org'), 'Zoe''s organisation is hers');
select is(fpm.own_colleagues(), array[pg_temp.id('zoe')], 'and has no Ann in it');
create function pg_temp.spy(p_text text) returns boolean language plpgsql cost 0.0001 as $$
begin
	if p_text ~ pg_temp.tells() then
		raise exception 'seen: %', p_text;
	end if;
	return true;
end
$$;
select lives_ok('select * from public.ai_usage_tracking t where pg_temp.spy(t::text)', 'a function of hers is shown no row before the policy is: the ledger');
select lives_ok('select * from public.ai_response_cache t where pg_temp.spy(t::text)', 'the cache');
select lives_ok('select * from public.user_profiles t where pg_temp.spy(t::text)', 'the profiles');
select is((select count(*) from pg_stats s where s.schemaname = 'fpm' or s.tablename ~ '^(ai_|user_profiles)'), 0::bigint, 'nor does she see what the planner has noted of columns');
select set_config('role', 'none', true);

-- Through each function, asked in her name.
create function pg_temp.asked(p_sql text) returns text language plpgsql as $$
declare
	v_said text;
begin
	execute p_sql into v_said;
	return coalesce(v_said, 'nothing');
end
$$;
create temp table said as select s.name, pg_temp.asked(s.as_zoe) as said from stated_function s where s.as_zoe is not null;
select doesnt_match(said, pg_temp.tells(), name || ' tells Zoe nothing of Ann') from said;
select is(said, 'false', name || ' does nothing to what is Ann''s') from said where name in ('void_request', 'idempotency_release');
select is(said, 'false', 'nor does ' || name) from said where name = 'idempotency_store';
select matches(said, '^\(claimed,', 'a key that Ann used is as good to Zoe as one that nobody did') from said where name = 'idempotency_claim';
select doesnt_match(said, 'cached', 'what Ann asked is new to Zoe, in every scope but the shared one: ' || name) from said where name in ('admit', 'admit_calls');
create temp table ben as select pg_temp.ask('ben', 'organization') as of_organization, pg_temp.ask('ben', 'supplier') as of_supplier;
select is((pg_temp.row_of(of_organization)).state, 'cached', 'to Ann''s colleague it is not, in their organisation''s') from ben;
select is((pg_temp.row_of(of_supplier)).state, 'reserved', 'but in the supplier''s it is') from ben;
select is((select count(*) from fpm.idempotency_keys where supplier_id = pg_temp.id('ann')), 1::bigint, 'Ann''s key is what it was');
select is((pg_temp.row_of(open)).state, 'reserved', 'and so is her open call') from ann;

-- The shared scope is what an endpoint's author says is everybody's: an answer without an owner.
select (pg_temp.settle(pg_temp.ask('ann', 'shared'), p_content => 'for all')).state;
create temp table shared as select pg_temp.ask('zoe', 'shared') as ticket;
select is((pg_temp.row_of(ticket)).state, 'cached', 'what Ann asked in the shared scope Zoe is given') from shared;
select is(pg_temp.seen('authenticated', pg_temp.claims('zoe'), '(select * from public.ai_response_cache a where a.scope = ''shared'')'), '0', 'and nothing in it says whose it was');

-- What is left of Zoe's limits does not depend on Ann's use of hers.
select fpm.supplier_set_tier(pg_temp.id(n), 'starter') from unnest(array['ann', 'ben', 'zoe']) n;
select is(pg_temp.verdicts(4, 'ann', 'chatbot', '3/3600/0'), 'admitted 2, daily_limit 2', 'Ann uses up hers');
select is((select (verdict, day_left, month_left, rate_remaining)::text from pg_temp.admit('zoe', p_feature => 'chatbot', p_rate => '3/3600/0')), '(admitted,1,9,2)',
	'Zoe has all of hers');
select is((select (verdict, day_left)::text from pg_temp.admit('ben', p_feature => 'chatbot')), '(admitted,1)', 'and so has Ann''s colleague');

select * from finish();
rollback;
