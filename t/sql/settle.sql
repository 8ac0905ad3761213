begin;
\ir lib/fixture.sql
select plan(76);

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
create temp table bound as select * from pg_temp.admit('ann');
select is((select r.cost_cents from bound, pg_temp.settle(bound.ticket, 'settled', 1000, 0, 1000) r), '0.075', 'to the last of its reservation');
select is((pg_temp.row_of(ticket)).overrun, false, 'is within it') from bound;
select is((select sum(overruns) from fpm.usage_daily), 1::numeric, 'for the day''s sums too');

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

-- So do two of the same supplier and feature that end in one set.
create temp table two (ticket text);
create function pg_temp.settle_two(p_state text) returns text language sql as $$
	select string_agg(r.done || ' ' || r.state, ', ' order by r.n) from fpm.settle_calls(array(
		select row(split_part(t.ticket, '.', 1), split_part(t.ticket, '.', 2), split_part(t.ticket, '.', 3), p_state, 100, 0, 0, false, 1, null, null, 1)::fpm.settle_call
		from two t)) r
$$;
delete from fpm.counters;
insert into two select (pg_temp.admit('ann')).ticket from generate_series(1, 2);
update fpm.counters set day = day + 1, day_count = 7;
select is(pg_temp.settle_two('failed'), 'true failed, true failed', 'two calls of yesterday fail together');
select is(pg_temp.held(), '(7,0,0.003,0)', 'their places of the month are given back, today''s are not touched');
delete from fpm.counters;
delete from two;
insert into two select (pg_temp.admit('ann')).ticket from generate_series(1, 2);
update fpm.counters set month = (month + interval '1 month')::date, day = (month + interval '1 month')::date, day_count = 7, month_count = 7, month_cost = 7, reserved = 7;
select is(pg_temp.settle_two('failed'), 'true failed, true failed', 'two calls of last month fail together');
select is(pg_temp.held(), '(7,7,7,7)', 'this month''s figures are not touched');

-- Whoever settles holds the lock of the supplier's feature, so that no admission reads the counter meanwhile.
select is((select r.done from pg_temp.settle('00000000-0000-4000-8000-000000000000.1.20260331') r), false, 'a call that is not open');
select is((select count(*) from pg_locks k where k.locktype = 'advisory' and k.pid = pg_backend_pid() and k.classid = 0 and k.objid = 20260331), 1::bigint, 'is looked for under its lock');

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

delete from two;
insert into two select (pg_temp.admit('ann')).ticket from generate_series(1, 2);
select fpm.settle(t.ticket, 'settled', 1, 0, 1, false, case n when 1 then -1 else 9223372036854775807 end, null, null) from (select ticket, row_number() over () as n from two) t;
select is((select string_agg((pg_temp.row_of(t.ticket)).request_duration_ms::text, ' ') from two t), '0 2147483647', 'the strangest durations');

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

-- Sets: what is written for calls of several suppliers at once, and what is added up first, because some are of the same, comes to the same.
delete from fpm.counters;
delete from public.ai_usage_tracking;
delete from fpm.usage_daily;
delete from public.ai_response_cache;
select pg_temp.supplier(v.name, 'enterprise') from (values ('ann'), ('zoe')) v (name);
create temp table lot (n int, name text, state text, ticket text);
create function pg_temp.settle_lot(p_from int, p_to int) returns text language sql as $$
	select string_agg((r.n, r.done, r.state, r.cost_cents)::text, ' ' order by r.n)
	from fpm.settle_calls(array(
		select row(split_part(l.ticket, '.', 1), split_part(l.ticket, '.', 2), split_part(l.ticket, '.', 3), l.state, 100 * l.n, 10, 50, l.state in ('aborted', 'expired'), 40 + l.n,
			nullif(l.state, 'settled'), 'answer ' || l.n, 1)::fpm.settle_call
		from lot l where l.n between p_from and p_to order by l.n)) r
$$;
insert into lot
select v.n, v.name, v.state, (pg_temp.admit(v.name, p_content => 'content ' || v.n, p_prompt_max => case when v.n in (1, 5) then 1 else 1000 end,
	p_max_tokens => case when v.n in (1, 5) then 1 else 1000 end)).ticket
from (values (1, 'ann', 'settled'), (2, 'ben', 'failed'), (3, 'zoe', 'aborted'),
	(4, 'ann', 'aborted'), (5, 'ben', 'settled'), (6, 'zoe', 'void'), (7, 'ann', 'failed'), (8, 'ben', 'expired'), (9, 'ann', 'settled')) v (n, name, state);
select is(pg_temp.settle_lot(1, 3), '(1,t,settled,0.004425) (2,t,failed,0.005925) (3,t,aborted,0.007425)', 'a set of three suppliers');
select is_empty('select * from fpm.audit()', 'all is equal');
select is(pg_temp.settle_lot(3, 9), '(1,f,aborted,0.007425) (2,t,aborted,0.008925) (3,t,settled,0.010425) (4,t,failed,0) (5,t,failed,0.013425) (6,t,expired,0.014925) (7,t,settled,0.016425)',
	'one in which some are of the same, and one has ended');
select is_empty('select * from fpm.audit()', 'all is equal, still');
select is((select (sum(requests), sum(failed), sum(aborted), sum(expired), sum(estimated), sum(overruns), sum(duration_ms))::text from fpm.usage_daily), '(9,3,2,1,3,2,405)',
	'the day''s sums have them all');
select is((select string_agg(response_content, ', ' order by response_content) from public.ai_response_cache), 'answer 1, answer 5, answer 9', 'the settled ones'' answers are kept');
select is((select count(*) from public.ai_response_cache a join public.ai_usage_tracking t on t.id = a.id and t.state = 'settled'), 3::bigint, 'under the ids of their calls');
update lot set ticket = (pg_temp.admit('ann', p_content => 'twice')).ticket, state = 'settled' where n = 1;
update lot set ticket = (select l.ticket from lot l where l.n = 1), state = 'settled' where n = 2;
select is(pg_temp.settle_lot(1, 2), '(1,t,settled,0.004425) (2,f,settled,0.004425)', 'a call that is in a set twice ends once');
select is(pg_temp.settle_lot(1, 0), null, 'an empty set');

-- What a settlement reads does not depend on what the planner has seen: it plans for empty tables, and finds them full.
truncate fpm.counters, fpm.ai_usage_open, fpm.usage_daily, public.ai_response_cache, fpm.rate_buckets;
analyze fpm.counters, fpm.ai_usage_open, fpm.usage_daily, public.ai_response_cache;
select is((select r.done from pg_temp.settle('00000000-0000-4000-8000-000000000000.1.1') r), false, 'planned');
insert into public.user_profiles (id, subscription_tier) select ('00000000-0000-4000-8000-1' || lpad(i::text, 11, '0'))::uuid, 'enterprise' from generate_series(1, 300) i;
insert into fpm.api_keys (supplier_id, key_hash) select u.id, encode(sha256(convert_to(u.id::text, 'UTF8')), 'hex') from public.user_profiles u where u.id::text like '%-1%';
create temp table many as
	select u.id as supplier, a.ticket
	from public.user_profiles u,
		fpm.admit(encode(sha256(convert_to(u.id::text, 'UTF8')), 'hex'), 'r', 'email_template', '/e', 'openai', 'gpt-4o-mini', 0, 0, 0, 1000, 250, 1000,
			encode(sha256(convert_to(u.id::text, 'UTF8')), 'hex'), 'supplier', 3600, 60000, 0, 'w', false) a
	where u.id::text like '%-8000-1%';
delete from lot;
insert into lot select row_number() over (order by m.ticket), null, 'settled', m.ticket from many m;
select is((select count(*) from regexp_matches(pg_temp.settle_lot(1, 290), ',t,settled', 'g')), 290::bigint, 'a large set');
create temp table had as select x.relname, x.seq_tup_read + coalesce(x.idx_tup_fetch, 0) as rows from pg_stat_xact_user_tables x;
select is((select count(*) from regexp_matches(pg_temp.settle_lot(291, 294), ',t,settled', 'g')), 4::bigint, 'and a small one');
select is_empty($$
	select x.relname, x.seq_tup_read + coalesce(x.idx_tup_fetch, 0) - h.rows from pg_stat_xact_user_tables x join had h using (relname)
	where x.relname in ('counters', 'ai_usage_open', 'usage_daily', 'ai_response_cache', 'model_prices') and x.seq_tup_read + coalesce(x.idx_tup_fetch, 0) - h.rows > 4
$$, 'which reads no more rows of a table than it has calls');

select * from finish();
rollback;
