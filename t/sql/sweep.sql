begin;
\ir lib/fixture.sql
select plan(42);

select pg_temp.supplier('ann', 'enterprise');
select pg_temp.supplier('ben', 'enterprise');
select fpm.sweep(null);

-- Past its time.
create temp table a as select * from pg_temp.admit('ann', p_timeout_ms => 0, p_prompt_estimate => 300, p_max_tokens => 1000);
create temp table b as select * from pg_temp.admit('ann', p_timeout_ms => 60000);
select is((select expired from fpm.sweep(null)), 1::bigint, 'one reservation is past its time');
select is((select (t.state, t.success, t.error_message, t.estimated, t.prompt_tokens, t.completion_tokens, t.tokens_used, trim_scale(t.cost_cents))::text
	from a, pg_temp.row_of(a.ticket) t), '(expired,f,expired,t,300,1000,1300,0.0645)', 'it is charged the stated estimate, and says so');
select isnt((pg_temp.row_of(ticket)).settled_at, null, 'and when') from a;
select is((pg_temp.row_of(ticket)).state, 'reserved', 'one that still runs is left alone') from b;
select is((pg_temp.counter('ann')).day_count, 2::bigint, 'an orphan keeps its place');
select is((pg_temp.counter('ann')).month_cost, 0.0645, 'its cost is charged');
select is((pg_temp.counter('ann')).reserved, 0.075, 'its reservation given back');
select is((select (requests, expired, estimated, cost_cents)::text from fpm.usage_daily), '(1,1,1,0.0645)', 'the day''s sums have it');
select is((select expired from fpm.sweep(null)), 0::bigint, 'once');
select is((select (r.done, r.state)::text from a, pg_temp.settle(a.ticket) r), '(f,expired)', 'who settles it late is told: it has expired');
select is((select (r.done, r.state)::text from b, pg_temp.settle(b.ticket) r), '(t,settled)', 'the other settles as ever');

-- A worker that died.
create temp table w as
	select v.of_worker, (pg_temp.admit(v.name, p_worker => v.of_worker)).ticket
	from (values ('ann', 'dead'), ('ann', 'dead'), ('ann', 'dead'), ('ben', 'dead'), ('ann', 'alive'), ('ann', 'alive')) v (name, of_worker);
select is((select expired from fpm.sweep('nobody')), 0::bigint, 'a worker with nothing open');
select is((select expired from fpm.sweep('dead')), 4::bigint, 'all of a dead worker''s calls end at once');
select is((select string_agg(distinct (pg_temp.row_of(ticket)).state, ',') from w where of_worker = 'dead'), 'expired', 'as expired');
select is((select string_agg(distinct (pg_temp.row_of(ticket)).state, ',') from w where of_worker = 'alive'), 'reserved', 'another''s go on');
select is((select count(*) from fpm.ai_usage_open), 2::bigint, 'and are open');
select is_empty('select * from fpm.audit()', 'all is equal');

-- More than one portion.
select count((pg_temp.admit('ben', p_timeout_ms => 0)).ticket) from generate_series(1, 1203);
select is((select expired from fpm.sweep(null)), 1000::bigint, 'a thousand at a time');
select is((select expired from fpm.sweep(null)), 203::bigint, 'and then the rest');

-- A supplier that is gone.
select (pg_temp.admit('ben', p_timeout_ms => 0)).verdict;
delete from public.user_profiles where id = pg_temp.id('ben');
select is((select expired from fpm.sweep(null)), 0::bigint, 'the call of a supplier that is gone ends without a row');
select is((select count(*) from fpm.ai_usage_open where supplier_id = pg_temp.id('ben')), 0::bigint, 'and is not open');
select is((select count(*) from public.ai_usage_tracking where supplier_id = pg_temp.id('ben')), 0::bigint, 'its ledger went with it');

-- An admission that nobody heard of.
select pg_temp.settle(ticket) from w where of_worker = 'alive';
create temp table u as select * from pg_temp.admit('ann');
select is(fpm.void_request('request of ann', pg_temp.id('ann')::text, 'chatbot'), false, 'it is of one feature');
select is(fpm.void_request('request of ann', pg_temp.id('ann')::text, 'email_template'), true, 'a call whose admission was never answered is void');
select is((select (t.state, t.error_message, t.cost_cents)::text from u, pg_temp.row_of(u.ticket) t), '(failed,database_unavailable,0)', 'nothing was sent for it');
select is(fpm.void_request(r, s, 'email_template'), false, 'one that is not there: ' || coalesce(s, 'null'))
from (values ('request of ann', pg_temp.id('ann')::text), ('request of ann', 'nonsense'), ('request of ann', null)) v (r, s);

-- Refusals.
select is(fpm.count_refusals(jsonb_build_array(
	jsonb_build_object('supplier', pg_temp.id('ann'), 'feature', 'chatbot', 'reason', 'daily_limit', 'count', 3),
	jsonb_build_object('supplier', pg_temp.id('ann'), 'feature', 'chatbot', 'reason', 'daily_limit', 'count', 4),
	jsonb_build_object('supplier', null, 'feature', 'chatbot', 'reason', 'unauthenticated', 'count', 5))), 2, 'refusals are counted');
select fpm.count_refusals('[{"supplier": null, "feature": "chatbot", "reason": "unauthenticated", "count": 5}]');
select results_eq('select supplier_id is null, feature_type, reason, sum(count)::bigint from fpm.refusals group by 1, 2, 3 order by 3',
	$$values (false, 'chatbot', 'daily_limit', 7::bigint), (true, 'chatbot', 'unauthenticated', 10::bigint)$$, 'by supplier, feature, reason and minute');
select is(fpm.count_refusals(j), 0, 'nonsense counts nothing: ' || coalesce(j::text, 'null'))
from unnest(array[null, '{}', '7', '[]', '[1, "x", null]', '[{"supplier": "no uuid", "feature": 3, "reason": {}, "count": -1}]']::jsonb[]) j;
update fpm.refusals set minute = minute - interval '91 days' where reason = 'daily_limit';
select fpm.sweep(null);
select is((select string_agg(distinct reason, ',') from fpm.refusals), 'unauthenticated', 'and goes after ninety days');

-- Partitions.
select is((select count(*) from pg_inherits where inhparent = 'fpm.ai_usage_ended'::regclass), 3::bigint, 'this month, the next, and the default');
select is(fpm.create_partitions(1), 0, 'none to make');
do $$ begin
	execute format('drop table fpm.%I', to_char((now() at time zone 'UTC') + interval '1 month', '"ai_usage_tracking_"YYYY_MM'));
end $$;
select is((select more from fpm.sweep('w1')), false, 'a sweep after a worker does not see to them');
select is((select more from fpm.sweep(null)), true, 'one in general does, before all else');
select is((select count(*) from pg_inherits where inhparent = 'fpm.ai_usage_ended'::regclass), 3::bigint, 'so that a daemon that runs on has its next month');

select * from finish();
rollback;
