begin;
\ir lib/fixture.sql
select plan(53);

select pg_temp.supplier('ann', 'professional');
create function pg_temp.held() returns text language sql as $$
	select (c.day_count, c.month_count, trim_scale(c.month_cost), trim_scale(c.reserved))::text from pg_temp.counter('ann') c
$$;

-- Once.
create temp table a as select * from pg_temp.admit('ann');
select is(pg_temp.held(), '(1,1,0,0.075)', 'a reservation');
create temp table s as select r.* from a, pg_temp.settle(a.ticket, 'settled', 1000, 200, 500) r;
select is((select (done, state)::text from s), '(t,settled)', 'is settled');
select is((select cost_cents from s), '0.0435', 'at 100 * (800 * 0.00000015 + 200 * 0.000000075 + 500 * 0.0000006)');
select is(pg_temp.held(), '(1,1,0.0435,0)', 'the counter has the cost and holds nothing');
select is((select (t.tokens_used, t.prompt_tokens, t.cached_tokens, t.completion_tokens, t.request_duration_ms, t.success, t.error_message, t.estimated, t.overrun)::text
	from a, pg_temp.row_of(a.ticket) t), '(1500,1000,200,500,42,t,,f,f)', 'the row has the figures');
select isnt((pg_temp.row_of(ticket)).settled_at, null, 'and the time') from a;
select is((select count(*) from fpm.ai_usage_open), 0::bigint, 'nothing is open');
select is((select (requests, tokens, prompt_tokens, cached_tokens, completion_tokens, cost_cents, duration_ms)::text from fpm.usage_daily),
	'(1,1500,1000,200,500,0.0435,42)', 'the day''s sums have it');
select is((select (r.done, r.state, r.cost_cents)::text from a, pg_temp.settle(a.ticket, 'failed', 9, 9, 9) r), '(f,settled,0.0435)', 'a second time tells what is there');
select is(pg_temp.held(), '(1,1,0.0435,0)', 'and changes nothing');
select is((select requests from fpm.usage_daily), 1::bigint, 'nowhere');

-- The other ends.
create function pg_temp.ends(p_state text, p_prompt bigint, p_completion bigint, p_error text default null, p_estimated boolean default false) returns text
language plpgsql as $$
declare
	v_ticket text;
	v_row public.ai_usage_tracking;
begin
	delete from fpm.counters;
	v_ticket := (pg_temp.admit('ann')).ticket;
	perform pg_temp.settle(v_ticket, p_state, p_prompt, 0, p_completion, p_estimated, p_error);
	v_row := pg_temp.row_of(v_ticket);
	return concat_ws(' ', v_row.state, v_row.success, v_row.error_message, v_row.tokens_used, v_row.cost_cents, v_row.estimated, pg_temp.held());
end
$$;
select is(pg_temp.ends('failed', 100, 0, 'upstream_error'), 'failed f upstream_error 100 0.0015 f (0,0,0.0015,0)',
	'failed: its place is given back, what it used is charged');
select is(pg_temp.ends('void', 100, 100, 'upstream_unreachable'), 'failed f upstream_unreachable 0 0 f (0,0,0,0)', 'void: nothing was used, whatever is said');
select is(pg_temp.ends('void', null, null), 'failed f not_sent 0 0 f (0,0,0,0)', 'void says why');
select is(pg_temp.ends('aborted', 100, 20, 'client_gone', true), 'aborted f client_gone 120 0.0027 t (1,1,0.0027,0)',
	'aborted: keeps its place, is charged what was delivered, marked as estimated');
select is(pg_temp.ends('settled', 0, 0), 'settled t 0 0 f (1,1,0,0)', 'settled with nothing used');
select is(pg_temp.ends('settled', -5, -7), 'settled t 0 0 f (1,1,0,0)', 'less than nothing is nothing');
select is(pg_temp.ends('settled', null, null), 'settled t 0 0 f (1,1,0,0)', 'unknown is nothing');
select is((select (sum(requests), sum(failed), sum(aborted), sum(estimated), sum(cost_cents))::text from fpm.usage_daily), '(8,3,1,1,0.0477)', 'the day''s sums have them all');

-- Above the reservation.
delete from fpm.counters;
update public.ai_usage_limits set cost_limit_cents = 0.1 where tier_name = 'professional';
create temp table o as select * from pg_temp.admit('ann');
select is((select r.cost_cents from o, pg_temp.settle(o.ticket, 'settled', 1000, 0, 2000) r), '0.135', 'a provider that ignores max_tokens is paid all the same');
select is((pg_temp.row_of(ticket)).overrun, true, 'and the row says that it ran over') from o;
select is(pg_temp.held(), '(1,1,0.135,0)', 'it is charged in full');
select is((pg_temp.admit('ann')).verdict, 'cost_limit', 'and blocks the next');
select is((select sum(overruns) from fpm.usage_daily), 1::numeric, 'and is counted');
update public.ai_usage_limits set cost_limit_cents = -1 where tier_name = 'professional';

-- Across the end of a day or month, the counter owes the old row nothing.
delete from fpm.counters;
create temp table n as select * from pg_temp.admit('ann');
update fpm.counters set day = day + 1, day_count = 7;
select is((select r.done from n, pg_temp.settle(n.ticket, 'failed', 100, 0, 0) r), true, 'a call of yesterday fails');
select is(pg_temp.held(), '(7,0,0.0015,0)', 'its place of the month is given back, today''s are not touched');
delete from fpm.counters;
create temp table x as select * from pg_temp.admit('ann');
update fpm.counters set month = (month + interval '1 month')::date, day = (month + interval '1 month')::date, day_count = 7, month_count = 7, month_cost = 7, reserved = 7;
select is((select r.done from x, pg_temp.settle(x.ticket, 'failed', 100, 0, 0) r), true, 'a call of last month fails');
select is(pg_temp.held(), '(7,7,7,7)', 'this month''s figures are not touched');
select is((select day from fpm.usage_daily), (now() at time zone 'UTC')::date, 'the sums are those of the day it was made');

-- What is not a ticket.
select is((select r::text from pg_temp.settle(t) r), '(f,,)', 'unknown: ' || left(coalesce(t, 'null'), 60))
from unnest(array[null, '', 'nonsense', '00000000-0000-4000-8000-000000000000.00000000000000.0000000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff.ffffffffffffff.ffffffffffffffff',
	'00000000-0000-4000-8000-000000000000', repeat('9', 1000), E'\n', '00000000-0000-4000-8000-000000000000.00000000000000.00000000000000000']) t;
select is((select (r.done, r.state)::text from pg_temp.admit('ann') a, pg_temp.settle(a.ticket, 'nonsense') r), '(f,reserved)', 'a state that is none settles nothing');
select is((select (r.done, r.state)::text from pg_temp.admit('ann') a, pg_temp.settle(a.ticket, null) r), '(f,reserved)', 'nor does none');
select is((select (r.done, r.state)::text from pg_temp.admit('ann') a, pg_temp.settle(a.ticket, 'settled', 9223372036854775807, 9223372036854775807, 9223372036854775807) r),
	'(t,settled)', 'the largest figures');
select is((select (r.done, r.state)::text from pg_temp.admit('ann', p_content => 'large') a, pg_temp.settle(a.ticket, 'settled', 9223372036854775807, 9223372036854775807,
	9223372036854775807, p_content => 'kept') r), '(t,settled)', 'with an answer to keep, too');

-- A supplier that was deleted while its call ran.
create temp table g as select * from pg_temp.admit('ann');
delete from public.user_profiles where id = pg_temp.id('ann');
select is((select r::text from g, pg_temp.settle(g.ticket) r), '(f,,)', 'its call is unknown');
select is((select count(*) from fpm.ai_usage_open where id = left(g.ticket, 36)::uuid), 0::bigint, 'and not open') from g;
select is((select count(*) from fpm.usage_daily), 0::bigint, 'and leaves no sums');

-- Money is exact.
select pg_temp.supplier('ben', 'enterprise');
select pg_temp.settle((pg_temp.admit('ben', p_provider => 'local', p_model => 'sample')).ticket, 'settled', 1, 0, 9) from generate_series(1, 1000);
select is((select trim_scale(sum(cost_cents))::text from public.ai_usage_tracking where supplier_id = pg_temp.id('ben')), '0.555', 'a thousand calls of 0.000555 cents');
select is((select trim_scale(month_cost)::text from pg_temp.counter('ben')), '0.555', 'are 0.555 cents');
update public.ai_models set cost_per_input_token = 0.000000565 where model_name = 'sample';
select is((select cost_cents from pg_temp.admit('ben', p_provider => 'local', p_model => 'sample') a, pg_temp.settle(a.ticket, 'settled', 100, 0, 0)), '0.00565', '0.00565 cents');
select pg_temp.settle((pg_temp.admit('ben', p_provider => 'local', p_model => 'sample')).ticket, 'settled', 100, 0, 0) from generate_series(2, 1000);
select is((select trim_scale(month_cost - 0.555)::text from pg_temp.counter('ben')), '5.65', 'a thousand times are 5.65');

-- The price in force when the call was made.
create temp table p as select * from pg_temp.admit('ben', p_provider => 'local', p_model => 'sample');
update public.ai_models set cost_per_input_token = 1, cost_per_output_token = 1 where model_name = 'sample';
select is((select r.cost_cents from p, pg_temp.settle(p.ticket, 'settled', 100, 0, 0) r), '0.00565', 'a call is charged by the price it was made at');
select is((select count(*) from fpm.model_prices where model_name = 'sample'), 3::bigint, 'every price is kept');
update public.ai_models set max_tokens = 1, price_id = 1 where model_name = 'sample';
select is((select m.price_id from public.ai_models m where m.model_name = 'sample'), (select max(id) from fpm.model_prices where model_name = 'sample'), 'a price version is nobody''s to set');

select is_empty('select * from fpm.audit() where check_name not like ''counter%''', 'ledger, sums and reservations are equal');

select * from finish();
rollback;
