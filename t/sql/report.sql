begin;
\ir lib/fixture.sql
select plan(47);

-- Suppliers and keys.
create temp table n as select fpm.supplier_add(null, null, 'scale') as id;
select isnt((select id from n), null, 'a new supplier has an id');
select is(fpm.supplier_add(pg_temp.id('ann'), pg_temp.id('org'), 'starter'), pg_temp.id('ann'), 'or the one it is given');
select is(fpm.supplier_add(pg_temp.id('ann'), null, 'professional'), pg_temp.id('ann'), 'one that is there is changed');
select is((select (organization_id, tier)::text from fpm.supplier_list() where supplier_id = pg_temp.id('ann')), '(' || pg_temp.id('org') || ',professional)', 'and keeps its organisation');
select is(fpm.supplier_set_tier(pg_temp.id('ann'), 'enterprise'), true, 'another tier');
select is(fpm.supplier_set_tier(pg_temp.id('zoe'), 'enterprise'), false, 'of a supplier that is not there');
select is(fpm.key_create(pg_temp.id('zoe'), pg_temp.key('zoe'), 'pfk_zoe', null), null, 'no key without a supplier');
select isnt(fpm.key_create(pg_temp.id('ann'), pg_temp.key('ann'), 'pfk_ann', 'first'), null, 'a key');
select isnt(fpm.key_create(pg_temp.id('ann'), pg_temp.key('second'), 'pfk_two', 'second'), null, 'and another');
select throws_ok(format('select fpm.key_create(%L, %L, null, null)', pg_temp.id('ann'), pg_temp.key('ann')), '23505', null, 'the same twice is an error');
select throws_ok(format('select fpm.key_create(%L, %L, null, null)', pg_temp.id('ann'), 'pfk_a_key_in_clear'), '23514', null, 'and a key itself is never taken');
select is((select string_agg(hint || ' ' || name, ', ' order by hint) from fpm.key_list(pg_temp.id('ann'))), 'pfk_ann first, pfk_two second', 'the list');
select is((select keys from fpm.supplier_list() where supplier_id = pg_temp.id('ann')), 2::bigint, 'and their number');
select is(fpm.key_revoke('pfk_two'), 1, 'revoked by its hint');
select is_empty(format('select * from fpm.authenticate(%L)', pg_temp.key('second')), 'it opens nothing any more');
select is(fpm.key_revoke('pfk_two'), 0, 'once');
select is(fpm.key_revoke('nonsense'), 0, 'an unknown one');
select is((select revoked_at is not null from fpm.key_list() where hint = 'pfk_two'), true, 'the list says so');
select fpm.key_create((select id from n), pg_temp.key('third'), 'pfk_ann', 'same hint');
select is(fpm.key_revoke('pfk_ann'), 0, 'a hint that two keys share means neither');
select is(fpm.key_revoke((select upper(key_id::text) from fpm.key_list(pg_temp.id('ann')) where hint = 'pfk_ann')), 1, 'an id means one');
select pg_temp.supplier('ben', 'enterprise');

-- Usage.
select pg_temp.settle((pg_temp.admit('ben')).ticket, 'settled', 100, 0, 50) from generate_series(1, 3);
select pg_temp.settle((pg_temp.admit('ben', p_model => 'gpt-4.1')).ticket, 'failed', 100, 0, 0);
select (pg_temp.admit('ben')).verdict;
select results_eq('select day, supplier_id, feature_type, model_used, requests, cached, failed, tokens, cost_cents from fpm.usage()', $$
	values ((now() at time zone 'UTC')::date, pg_temp.id('ben'), 'email_template', 'gpt-4.1', 1::bigint, 0::bigint, 1::bigint, 100::numeric::bigint, 0.02),
		((now() at time zone 'UTC')::date, pg_temp.id('ben'), 'email_template', 'gpt-4o-mini', 3::bigint, 0::bigint, 0::bigint, 450::bigint, 0.0135)
$$, 'usage by day, supplier, feature and model; what is open is in none');
select is((select count(*) from fpm.usage(pg_temp.id('ann'))), 0::bigint, 'of one supplier');
select is((select count(*) from fpm.usage(p_to => (now() at time zone 'UTC')::date - 1)), 0::bigint, 'of a period');
select is((select count(*) from fpm.usage(pg_temp.id('ben'), (now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date)), 2::bigint, 'both days included');
select is((select (month_requests, month_cost_cents)::text from fpm.supplier_list() where supplier_id = pg_temp.id('ben')), '(4,0.0335)', 'and the month in the list');

-- The audit finds what was tampered with.
create function pg_temp.finds(p_damage text) returns text language plpgsql as $$
declare
	v_found text;
begin
	begin
		execute p_damage;
		select string_agg(distinct a.check_name, '; ' order by a.check_name) into v_found from fpm.audit() a;
		raise exception 'undone' using errcode = 'P0099';
	exception when sqlstate 'P0099' then
		return v_found;
	end;
end
$$;
select is(pg_temp.finds('select'), null, 'nothing wrong, nothing found');
select is(pg_temp.finds(damage), found, damage)
from (values
	('update public.ai_usage_tracking set cost_cents = cost_cents + 1 where state = ''failed''', 'counter: cost of the month; daily sum: cost; row: cost; row: overrun says otherwise'),
	('update public.ai_usage_tracking set cost_cents = cost_cents + 0.000001 where state = ''failed''', 'counter: cost of the month; daily sum: cost; row: cost'),
	('delete from public.ai_usage_tracking where state = ''failed''', 'counter: cost of the month; daily sum: cost; daily sum: duration; daily sum: failed; daily sum: prompt tokens; daily sum: requests; daily sum: tokens'),
	('delete from public.ai_usage_tracking where state = ''reserved''', 'counter: requests of the day; counter: requests of the month; counter: reserved'),
	('insert into public.ai_usage_tracking (supplier_id, feature_type, model_used, success) select supplier_id, ''chatbot'', ''gpt-4'', true from public.ai_usage_tracking limit 1',
		'counter: missing; daily sum: requests'),
	('update fpm.counters set day_count = day_count - 1', 'counter: requests of the day'),
	('update fpm.counters set month_count = 0', 'counter: requests of the month'),
	('update fpm.counters set month_cost = month_cost - 0.0001', 'counter: cost of the month'),
	('update fpm.counters set reserved = 0', 'counter: reserved'),
	('delete from fpm.counters', 'counter: missing'),
	('update fpm.usage_daily set tokens = tokens + 1', 'daily sum: tokens'),
	('update fpm.usage_daily set day = day - 1', 'daily sum: completion tokens; daily sum: cost; daily sum: duration; daily sum: failed; daily sum: prompt tokens; daily sum: requests; daily sum: tokens'),
	('update fpm.ai_usage_open set reserved_cents = 0', 'counter: reserved'),
	('update fpm.ai_usage_open set expires_at = now() - interval ''1 day''', 'reservation: past its time'),
	('update public.ai_usage_tracking set success = false where state = ''settled''', 'row: success says otherwise'),
	('update public.ai_usage_tracking set settled_at = null', 'row: ended without a time'),
	('update public.ai_usage_tracking set overrun = true where state = ''settled''', 'daily sum: overruns; row: overrun says otherwise'),
	('update public.ai_usage_tracking set cached_tokens = 1000, prompt_tokens = 100 where state = ''failed''', 'daily sum: cached tokens; row: cost; row: more cached tokens than prompt tokens')
) v (damage, found);
select is((select string_agg(distinct check_name, ',') from fpm.audit(p_to => (now() at time zone 'UTC')::date - 40)), null, 'of a period without rows, nothing');
select is((select expected || ' / ' || found from fpm.audit()), null, 'equal to the end');
select is((select count(*) from public.ai_usage_tracking), 5::bigint, 'of five rows');

select * from finish();
rollback;
