-- What happens to rows after they ended: corrections, invoices, a supplier's own report, archived months.
begin;
\ir lib/fixture.sql
select plan(74);

select pg_temp.supplier('ann', 'starter', 'org');
select pg_temp.supplier('ben', 'enterprise', 'org');
select pg_temp.supplier('zoe', 'enterprise', 'other org');
create function pg_temp.today() returns date language sql stable as $$select (now() at time zone 'UTC')::date$$;

-- An expired row that is settled late: the row stays, a correction sets it right.
create temp table a as select * from pg_temp.admit('ann', p_prompt_estimate => 300, p_timeout_ms => 0);
select is((select expired from fpm.sweep(null)), 1::bigint, 'a call expires');
select is((pg_temp.counter('ann')).month_cost, 0.0645, 'and is charged the estimate');
select is((select (r.done, r.state, r.cost_cents)::text from a, pg_temp.settle(a.ticket, 'settled', 1000, 200, 500) r), '(f,expired,0.0645)', 'settled late: it has ended already');
select is((pg_temp.row_of(ticket)).cost_cents, 0.0645, 'and stays as it is') from a;
select is((select (t.state, t.prompt_tokens, t.cached_tokens, t.completion_tokens, t.tokens_used, t.cost_cents, t.error_message)::text
	from public.ai_usage_tracking t where t.corrects is not null), '(correction,700,200,-500,200,-0.021,settled_late)', 'but a correction has the difference');
select is((pg_temp.counter('ann')).month_cost, 0.0435, 'so that the month has what was used');
select is((pg_temp.counter('ann')).month_count, 1::bigint, 'and one request');
select is((select (requests, corrections, tokens, cost_cents)::text from fpm.usage_daily), '(1,1,1500,0.0435)', 'and the day''s sums');
select is((select r.state from a, pg_temp.settle(a.ticket, 'settled', 9, 9, 9) r), 'expired', 'a second late settlement');
select is((select count(*) from public.ai_usage_tracking), 2::bigint, 'corrects nothing more');

-- By the operator.
select is(fpm.correct(left(ticket, 36)::uuid, (pg_temp.row_of(ticket)).created_at, 1000, 0, 500, 'provider credited its cache'), 0.0015, 'the operator knows better still') from a;
select is(fpm.correct(left(ticket, 36)::uuid, (pg_temp.row_of(ticket)).created_at, 1000, 0, 500, 'again'), 0::numeric, 'the same again changes nothing') from a;
select is((pg_temp.counter('ann')).month_cost, 0.045, 'the row and its corrections come to what was said');
create temp table b as select * from pg_temp.admit('ann');
select is(fpm.correct(left(ticket, 36)::uuid, (pg_temp.row_of(ticket)).created_at, 1, 0, 1, 'open'), null, 'an open row is not corrected') from b;
select is(fpm.correct(gen_random_uuid(), now(), 1, 0, 1, 'unknown'), null, 'nor one that is not there');
select is(fpm.correct(t.id, t.created_at, 1, 0, 1, 'a correction'), null, 'nor a correction itself') from public.ai_usage_tracking t where t.state = 'correction' limit 1;
select pg_temp.settle(ticket, 'void') from b;
update public.ai_models set cost_per_output_token = 1 where model_name = 'gpt-4o-mini';
select is(fpm.correct(left(ticket, 36)::uuid, (pg_temp.row_of(ticket)).created_at, 0, 0, 1, 'it was sent'), 0.00006, 'by the price of the row') from b;
select is_empty('select * from fpm.audit()', 'all is equal');
update public.ai_usage_tracking set corrects = gen_random_uuid() where state = 'correction' and tokens_used = 1;
select is((select string_agg(check_name, ',') from fpm.audit()), 'row: corrects nothing', 'the audit sees one that corrects nothing');
update public.ai_usage_tracking set corrects = (select left(ticket, 36)::uuid from b) where state = 'correction' and tokens_used = 1;

update public.ai_models set cost_per_output_token = 0.0000006 where model_name = 'gpt-4o-mini';

-- An expired call of which it turns out that it never went out: nothing was used, whatever is said.
create temp table unsent as select * from pg_temp.admit('zoe', p_timeout_ms => 0);
select is((select expired from fpm.sweep(null)), 1::bigint, 'a call expires');
select pg_temp.settle(ticket, 'void', 100, 0, 50) from unsent;
select is((pg_temp.counter('zoe')).month_cost, 0::numeric, 'and was never sent') from unsent;
delete from public.ai_usage_tracking where supplier_id = pg_temp.id('zoe');
delete from fpm.usage_daily where supplier_id = pg_temp.id('zoe');
delete from fpm.counters where supplier_id = pg_temp.id('zoe');

-- A clock that was set back after the call was made.
create temp table d as select left(a.ticket, 36)::uuid as id from pg_temp.admit('zoe', p_timeout_ms => 0) a;
update fpm.ai_usage_open o set created_at = clock_timestamp() + interval '5 seconds' from d where o.id = d.id;
select is((select expired from fpm.sweep(null)), 1::bigint, 'a call of moments ahead expires');
select is(fpm.correct(t.id, t.created_at, 1000, 0, 500, 'settled_late', true), -0.01875, 'and is corrected')
from d join public.ai_usage_tracking t on t.id = d.id;
select is(fpm.correct(t.id, t.created_at, 1000, 0, 500, 'settled_late', true), 0::numeric, 'once')
from d join public.ai_usage_tracking t on t.id = d.id;
select is_empty('select * from fpm.audit()', 'all is equal');
delete from public.ai_usage_tracking where supplier_id = pg_temp.id('zoe');
delete from fpm.usage_daily where supplier_id = pg_temp.id('zoe');
delete from fpm.counters where supplier_id = pg_temp.id('zoe');

-- More cached tokens than there are tokens: as many as there are.
create temp table f as select * from pg_temp.admit('zoe');
select pg_temp.settle(ticket, 'settled', 1000, 0, 0) from f;
select is(fpm.correct(t.id, t.created_at, 1000, 5000, 0, 'cached'), -0.0075, 'all of it was cached') from f, pg_temp.row_of(f.ticket) t;
-- A correction that comes when the month is over, before any call of the new one.
update fpm.counters c set month = (c.month - interval '1 month')::date, day = c.month - 1, day_count = 3, month_count = 5, month_cost = 7, reserved = 0.5
where c.supplier_id = pg_temp.id('zoe');
select is(fpm.correct(t.id, t.created_at, 2000, 2000, 0, 'twice as much'), 0.0075, 'charged on the day that it is made') from f, pg_temp.row_of(f.ticket) t;
select is((select (c.day = t.today, c.day_count, c.month = date_trunc('month', t.today::timestamp), c.month_count, trim_scale(c.month_cost), c.reserved)::text
	from pg_temp.counter('zoe') c, (select (now() at time zone 'UTC')::date as today) t), '(t,0,t,0,0.0075,0)', 'the new month begins with it');
delete from public.ai_usage_tracking where supplier_id = pg_temp.id('zoe');
delete from fpm.usage_daily where supplier_id = pg_temp.id('zoe');
delete from fpm.counters where supplier_id = pg_temp.id('zoe');
select is_empty('select * from fpm.audit()', 'all is equal');

-- A month's invoice begins with its first day and ends with its last.
insert into fpm.usage_daily (supplier_id, day, feature_type, model_used, requests, cost_cents)
select pg_temp.id('ben'), d::date, 'chatbot', 'gpt-4o-mini', 1, c from (values ('2031-01-31', 1), ('2031-02-01', 2), ('2031-02-28', 4), ('2031-03-01', 8)) v (d, c);
select is((select cost_cents from fpm.invoice('2031-02-14')), 6::numeric, 'February''s is of February');
delete from fpm.usage_daily where day > '2031-01-01';

-- Invoices add up.
select pg_temp.settle((pg_temp.admit('ben', f, p_model => m)).ticket, 'settled', n, n / 3, n * 7)
from (select i as n, (array['email_template', 'chatbot'])[i % 2 + 1] as f, (array['gpt-4o-mini', 'gpt-5-mini', 'gpt-4.1'])[i % 3 + 1] as m
	from generate_series(1, 60) i) v;
select is((select count(*) from fpm.invoice(pg_temp.today(), pg_temp.id('ben'))), 6::bigint, 'an invoice has a line for each feature and model');
select is((select sum(cost_cents) from fpm.invoice(pg_temp.today())), (select sum(cost_cents) from public.ai_usage_tracking), 'and they add up to the ledger exactly');
select is((select sum(prompt_tokens + completion_tokens)::bigint from fpm.invoice(pg_temp.today())), (select sum(tokens_used)::bigint from public.ai_usage_tracking), 'in tokens too');
select is((select sum(corrections)::bigint from fpm.invoice(pg_temp.today(), pg_temp.id('ann'))), 3::bigint, 'corrections are on them');
select is((select count(*) from fpm.invoice((pg_temp.today() - interval '2 months')::date)), 0::bigint, 'of that month only');

-- A supplier's own report.
create function pg_temp.report(p_name text, p_scope text default null) returns jsonb language sql as $$
	select fpm.usage_report(pg_temp.key(p_name), null, null, p_scope)
$$;
select is((pg_temp.report('ann') -> 'total' ->> 'requests')::int, 2, 'Ann''s report has her calls');
select is((pg_temp.report('ann') -> 'total' ->> 'costCents')::numeric, 0.04506, 'and what they cost, exactly');
select is(jsonb_array_length(pg_temp.report('ann') -> 'usage'), 1, 'by day, feature and model');
select is(pg_temp.report('ann') -> 'usage' -> 0 ->> 'day', pg_temp.today()::text, 'of this month');
select is((pg_temp.report('ann', 'organization') -> 'total' ->> 'requests')::int, 62, 'her organisation''s has Ben''s too');
select is((pg_temp.report('zoe', 'organization') -> 'total' ->> 'requests')::int, 0, 'a stranger''s has neither');
select is((select count(*) from fpm.usage_report('no key')), 0::bigint, 'and an unknown key none');
select is(l ->> 'dayLeft' || ' ' || (l ->> 'monthLeft') || ' ' || (l ->> 'costLimitCents') || ' ' || (l ->> 'costLeftCents'), '4 19 500 499.95494', 'what is left of her limits')
from jsonb_array_elements(pg_temp.report('ann') -> 'limits') l where l ->> 'feature' = 'email_template';
select is((select string_agg(l ->> 'feature' || ' ' || coalesce(l ->> 'dayLimit', 'unlimited'), ', ' order by 1) from jsonb_array_elements(pg_temp.report('ann') -> 'limits') l
	where l ->> 'feature' <> 'email_template'), 'content_creation 3, form_generation 2', 'of features she has not used too');
select pg_temp.admit('ann', 'poetry');
select is((select l ->> 'dayLimit' || ' ' || (l ->> 'dayLeft') || ' ' || (l ->> 'reservedCents') from jsonb_array_elements(pg_temp.report('ann') -> 'limits') l where l ->> 'feature' = 'poetry'),
	'2 1 0.075', 'and of one without a row of limits, with what is open');
select is((select count(*) from jsonb_array_elements(pg_temp.report('ben') -> 'limits') l where l ->> 'dayLimit' is null), 4::bigint, 'unlimited is null');
create function pg_temp.left_to_ann() returns text language sql as $$
	select concat_ws(' ', l ->> 'dayLeft', l ->> 'monthLeft', l ->> 'reservedCents', l ->> 'costLeftCents') from jsonb_array_elements(pg_temp.report('ann') -> 'limits') l
	where l ->> 'feature' = 'email_template'
$$;
create temp table counter as select c.* from pg_temp.counter('ann') c;
update fpm.counters c set day = c.day - 1, day_count = 3 from counter a where c.supplier_id = a.supplier_id and c.feature_type = a.feature_type;
select is(pg_temp.left_to_ann(), '5 19 0 499.95494', 'what was counted yesterday is nothing to today');
update fpm.counters c set day = a.day, day_count = 9, reserved = 100 from counter a where c.supplier_id = a.supplier_id and c.feature_type = a.feature_type;
select is(pg_temp.left_to_ann(), '0 19 100 399.95494', 'less than nothing is never left, and what is held is not left either');
update fpm.counters c set month = (c.month - interval '1 month')::date, day = c.month - 1 from counter a where c.supplier_id = a.supplier_id and c.feature_type = a.feature_type;
select is(pg_temp.left_to_ann(), '5 20 0 500', 'nor is last month''s anything to this one');
update fpm.counters c set month = a.month, day = a.day, day_count = a.day_count, reserved = a.reserved from counter a where c.supplier_id = a.supplier_id and c.feature_type = a.feature_type;
update public.user_profiles set organization_id = pg_temp.id('other org') where id = pg_temp.id('ben');
select is((pg_temp.report('zoe', 'organization') -> 'total' ->> 'requests')::int, 0, 'who changes the organisation takes nothing along');
select is((pg_temp.report('ann', 'organization') -> 'total' ->> 'requests')::int, 62, 'and the old one keeps it');
select pg_temp.settle((pg_temp.admit('ben', 'chatbot', p_model => 'gpt-4.1')).ticket);
select is((pg_temp.report('zoe', 'organization') -> 'total' ->> 'requests')::int, 1, 'what is used from then on is the new one''s');
select is((pg_temp.report('ben') -> 'total' ->> 'requests')::int, 61, 'and Ben''s own has it all');
select is((select sum(requests)::int from fpm.usage(pg_temp.id('ben'))), 61, 'as has the operator''s');
select is_empty('select * from fpm.audit()', 'all is equal');

-- Refusals.
select fpm.count_refusals(jsonb_build_array(jsonb_build_object('supplier', pg_temp.id('ann'), 'feature', 'chatbot', 'reason', 'daily_limit', 'count', 3)));
select results_eq('select * from fpm.refused(pg_temp.id(''ann''))', $$values (pg_temp.today(), pg_temp.id('ann'), 'chatbot', 'daily_limit', 3::bigint)$$, 'refusals by day');

-- Months: made ahead, taken out of the default partition, archived.
insert into public.ai_usage_tracking (supplier_id, feature_type, model_used, created_at) values (pg_temp.id('zoe'), 'imported', 'gpt-4', now() + interval '5 months');
select is((select t.tableoid::regclass::text from public.ai_usage_tracking t where t.feature_type = 'imported'), 'fpm.ai_usage_tracking_default', 'a row of a month without a partition');
select is(fpm.create_partitions(6), 5, 'five more months are made');
select isnt((select t.tableoid::regclass::text from public.ai_usage_tracking t where t.feature_type = 'imported'), 'fpm.ai_usage_tracking_default', 'and it moves to its own');

insert into public.ai_usage_tracking (supplier_id, feature_type, model_used, created_at)
select pg_temp.id('zoe'), 'missed', 'gpt-4', t from unnest(array['2019-12-31 23:59:59.999999+00', '2020-01-01 00:00+00', '-infinity']::timestamptz[]) t;
select is(fpm.create_partitions(), 2, 'months that went by without one are made');
select is((select string_agg(t.tableoid::regclass::text, ' ' order by t.created_at) from public.ai_usage_tracking t where t.feature_type = 'missed'),
	'fpm.ai_usage_tracking_default fpm.ai_usage_tracking_2019_12 fpm.ai_usage_tracking_2020_01', 'and have their rows');
select is(fpm.create_partitions(), 0, 'once');
delete from public.ai_usage_tracking where feature_type = 'missed';

create table fpm.ai_usage_tracking_2020_02 partition of fpm.ai_usage_ended for values from ('2020-02-01 00:00+00') to ('2020-03-01 00:00+00');
alter table fpm.ai_usage_tracking_2020_02 owner to fpm_owner;
insert into public.ai_usage_tracking (supplier_id, feature_type, model_used, created_at, success, tokens_used, prompt_tokens, cost_cents)
values (pg_temp.id('zoe'), 'chatbot', 'gpt-4', '2020-02-29 23:59:59+00', true, 7, 7, 1.25);
insert into fpm.usage_daily (supplier_id, day, feature_type, model_used, organization_id, requests, tokens, prompt_tokens, cost_cents)
values (pg_temp.id('zoe'), '2020-02-29', 'chatbot', 'gpt-4', null, 1, 7, 7, 1.25);
insert into fpm.counters values (pg_temp.id('zoe'), 'chatbot', '2020-02-29', 1, '2020-02-01', 1, 1.25, 0);
select is_empty('select * from fpm.audit(''2020-02-01'', ''2020-02-29'')', 'an old month');
select is(fpm.ledger_archive(pg_temp.today()), null, 'the month that runs is not archived');
select isnt((select count(*) from fpm.ai_usage_open), 0::bigint, 'calls are open');
create temp table aside as select * from fpm.ai_usage_open;
update fpm.ai_usage_open set created_at = '2020-02-20 12:00+00';
select is(fpm.ledger_archive('2020-02-15'), null, 'nor one that has a call which is');
delete from fpm.ai_usage_open;
select is(fpm.ledger_archive(pg_temp.today()), null, 'the one that runs, not even without');
insert into fpm.ai_usage_open select * from aside;
select is(fpm.ledger_archive('2020-02-15'), 'fpm.ai_usage_tracking_2020_02', 'one that is over is');
select is(fpm.ledger_archive('2020-02-15'), null, 'once');
select is((select (row_count, cost_cents)::text from fpm.archived_months), '(1,1.25)', 'with what it held');
select is((select sum(cost_cents) from fpm.invoice('2020-02-01')), 1.25, 'its invoice stays');
select is_empty('select * from fpm.audit(''2020-01-01'', ''2020-12-31'')', 'and the audit knows that its rows are elsewhere');
delete from public.user_profiles where id = pg_temp.id('zoe');
select is((select (row_count, trim_scale(cost_cents))::text from fpm.archived_months), '(0,0)', 'a supplier that is deleted takes its part along');
select is_empty('select * from fpm.audit()', 'and all is equal');

select * from finish();
rollback;
