-- The decision by itself, at moments that a running clock never hits, and of calls that come at once.
begin;
\ir lib/fixture.sql
select plan(49);

select pg_temp.supplier('ann', 'enterprise');
select pg_temp.supplier('zoe', 'enterprise', 'other org');

-- A call as admit_calls finds it. Limits: month, day, cost.
create function pg_temp.asked(p_n int, p_limits text, p_reserve numeric, p_capacity int, p_step_us bigint, p_rank int default 1) returns fpm.asked
language sql as $$
	select jsonb_populate_record(null::fpm.asked, jsonb_build_object('n', p_n, 'supplier_id', pg_temp.id('ann'), 'lock_key', 7, 'rank', p_rank, 'hopeless', false, 'feature', 'f', 'endpoint', '/e', 'model', 'gpt-4o-mini', 'provider', 'openai', 'stream', false,
		'monthly_limit', split_part(p_limits, ' ', 1), 'daily_limit', split_part(p_limits, ' ', 2), 'cost_limit', split_part(p_limits, ' ', 3), 'capacity', nullif(p_capacity, 0),
		'step_us', nullif(p_step_us, 0), 'price_id', (select m.price_id from public.ai_models m where m.model_name = 'gpt-4o-mini'), 'price_input', 0, 'price_cached', 0, 'price_output', 0,
		'reserve', p_reserve, 'prompt_estimate', 0, 'max_tokens', 0, 'open_ms', 60000))
$$;

-- Verdict and wait | what is left of day and month | the counter afterwards | what is left of the rate, and when all of it is back.
create function pg_temp.room(p_now timestamptz, p_used text default null, p_limits text default '10 2 500', p_reserve numeric default 0,
	p_capacity int default 0, p_step_us bigint default 0, p_full_at timestamptz default null) returns text
language plpgsql as $$
declare
	u text[] := string_to_array(p_used, ' ');
	r fpm.admission;
	c fpm.counters;
begin
	delete from fpm.counters;
	delete from fpm.rate_buckets;
	if u is not null then
		insert into fpm.counters values (pg_temp.id('ann'), 'f', u[1]::date, u[2]::bigint, u[3]::date, u[4]::bigint, u[5]::numeric, u[6]::numeric);
	end if;
	if p_full_at is not null then
		insert into fpm.rate_buckets values (pg_temp.id('ann'), 'f', '/e', p_full_at);
	end if;
	select * into r from fpm.decide_calls(array[pg_temp.asked(1, p_limits, p_reserve, p_capacity, p_step_us)], array[7::bigint], array[pg_temp.id('ann')], null, p_now);
	select * into c from fpm.counters;
	return concat_ws(' ', replace(r.verdict, 'admitted', 'room'), r.retry_after_s, '|', coalesce(r.day_left::text, '-'), coalesce(r.month_left::text, '-'),
		'|', c.day, c.day_count, c.month, c.month_count, c.month_cost, c.reserved, '|', r.rate_remaining, r.rate_reset_s);
end
$$;

-- Far from UTC, so that a day of the session's own would show.
set local timezone = 'Pacific/Auckland';

select is(pg_temp.room('2026-03-31 23:59:59.999999+00'), 'room | 1 9 | 2026-03-31 1 2026-03-01 1 0 0 |', 'the first call of all');
select is(pg_temp.room('2026-03-31 12:00+00', '2026-03-31 1 2026-03-01 1 3 4', p_reserve => 0.5), 'room | 0 8 | 2026-03-31 2 2026-03-01 2 3 4.5 |', 'one more');
select is(pg_temp.room('2026-03-31 23:59:59.999999+00', '2026-03-31 2 2026-03-01 2 3 4'), 'daily_limit 1 | 0 8 | 2026-03-31 2 2026-03-01 2 3 4 |',
	'the day''s last microsecond: a second to wait');
select is(pg_temp.room('2026-03-31 00:00+00', '2026-03-31 2 2026-03-01 2 3 4'), 'daily_limit 86400 | 0 8 | 2026-03-31 2 2026-03-01 2 3 4 |', 'its first: a day');
select is(pg_temp.room('2026-03-31 00:00+00', '2026-03-30 2 2026-03-01 2 3 4'), 'room | 1 7 | 2026-03-31 1 2026-03-01 3 3 4 |', 'at midnight the day is new');
select is(pg_temp.room('2026-04-01 00:00+00', '2026-03-31 2 2026-03-01 10 500 4'), 'room | 1 9 | 2026-04-01 1 2026-04-01 1 0 0 |', 'and at its end the month');
select is(pg_temp.room('2026-03-31 00:00+00', '2026-03-30 0 2026-03-01 10 0 0'), 'monthly_limit 86400 | 2 0 | 2026-03-30 0 2026-03-01 10 0 0 |', 'the month''s last day');
select is(pg_temp.room('2026-02-01 00:00+00', '2026-02-01 2 2026-02-01 10 500 0', p_reserve => 0.000001),
	'monthly_limit 2419200 | 0 0 | 2026-02-01 2 2026-02-01 10 500 0 |', 'month, day and cost at once: the month is named, and February waited for');
select is(pg_temp.room('2028-02-29 12:00+00', '2028-02-29 2 2028-02-01 2 0 0'), 'daily_limit 43200 | 0 8 | 2028-02-29 2 2028-02-01 2 0 0 |', 'a leap day');
select is(pg_temp.room('2027-01-01 00:00+00', '2026-12-31 2 2026-12-01 10 0 0'), 'room | 1 9 | 2027-01-01 1 2027-01-01 1 0 0 |', 'a new year');

-- Money, to the last fraction.
select is(split_part(pg_temp.room('2026-03-31 12:00+00', '2026-03-31 0 2026-03-01 0 499 0.999999', p_reserve => r), ' ', 1), v, 'with 0.000001 cents left, ' || r)
from (values (0.000001, 'room'), (0.0000010000001, 'cost_limit'), (0, 'room')) t (r, v);
select is(split_part(pg_temp.room('2026-03-31 12:00+00', '2026-03-31 0 2026-03-01 0 501 0'), ' ', 1), 'cost_limit', 'after an overrun, not even a call of nothing');
select is(pg_temp.room('2026-03-31 12:00+00', '2026-03-31 9 2026-03-01 99 9999 9', '-1 -1 -1', 100), 'room | - - | 2026-03-31 10 2026-03-01 100 9999 109 |', 'without limits');
select is(split_part(pg_temp.room('2026-03-31 12:00+00', null, l, 1), ' ', 1), v, 'limits of nought: ' || l)
from (values ('0 0 0', 'monthly_limit'), ('-1 0 0', 'daily_limit'), ('-1 -1 0', 'cost_limit')) t (l, v);

-- A bucket of five, a place back every twelve minutes.
select is(split_part(pg_temp.room('2026-03-31 12:00+00', null, '-1 -1 -1', 0, 5, 720000000, f), ' ', 1) || split_part(
	pg_temp.room('2026-03-31 12:00+00', null, '-1 -1 -1', 0, 5, 720000000, f), '|', 4), v, 'full at ' || coalesce(to_char(f at time zone 'UTC', 'HH24:MI:SS.US'), 'null'))
from (values (null::timestamptz, 'room 4 720'), ('2026-03-31 11:00+00', 'room 4 720'), ('2026-03-31 12:48+00', 'room 0 3600'),
	('2026-03-31 12:48:00.000001+00', 'rate_limit 0 2881')) t (f, v);
select is(pg_temp.room('2026-03-31 12:00+00', null, '-1 -1 -1', 0, 5, 720000000, '2026-03-31 13:00+00'), 'rate_limit 720 | - - | | 0 3600',
	'an empty bucket');
select is(split_part(pg_temp.room('2026-03-31 12:00+00', null, '-1 -1 -1', 0, 100000, 31622400000000, '2026-03-31 13:00+00'), ' ', 1), 'room', 'the largest of all rates');


-- Calls that come at once: each is asked with all before it.
create function pg_temp.together(p_limits text, p_reserves numeric[], p_used text default '2026-03-31 0 2026-03-01 0 0 0') returns text
language plpgsql as $$
declare
	u text[] := string_to_array(p_used, ' ');
	v_calls fpm.asked[] := array(select pg_temp.asked(i::int, p_limits, r, 0, 0, i::int) from unnest(p_reserves) with ordinality t (r, i));
	v_verdicts text;
begin
	delete from fpm.counters;
	insert into fpm.counters values (pg_temp.id('ann'), 'f', u[1]::date, u[2]::bigint, u[3]::date, u[4]::bigint, u[5]::numeric, u[6]::numeric);
	v_verdicts := (select string_agg(d.verdict, ' ' order by d.n) from fpm.decide_calls(v_calls, array[7::bigint], array[pg_temp.id('ann')],
		array(select sum(r) over (order by i rows unbounded preceding) from unnest(p_reserves) with ordinality t (r, i) order by i), '2026-03-31 12:00+00') d);
	return v_verdicts || (select ' | ' || c.day_count || ' ' || trim_scale(c.reserved) from fpm.counters c);
end
$$;
select is(pg_temp.together('-1 -1 -1', '{1,1,1}'), 'admitted admitted admitted | 3 3', 'no limits: all');
select is(pg_temp.together('-1 2 -1', '{1,1,1}'), 'admitted admitted again | 2 2', 'the first that fit; one that might have, had it come alone, is to ask again');
select is(pg_temp.together('-1 2 -1', '{1,1,1}', '2026-03-31 2 2026-03-01 2 0 0'), 'daily_limit daily_limit daily_limit | 2 0', 'where none fits, each is told so');
select is(pg_temp.together('-1 -1 3', '{2,2,1}'), 'admitted again again | 1 2', 'money: never more than fits with all before');
select is(pg_temp.together('-1 -1 3', '{4,2,1}'), 'cost_limit again again | 0 0', 'one that is too large by itself is refused, and those behind it are to ask again');
select is(pg_temp.together('-1 -1 3', '{1,1,1}', '2026-03-31 0 2026-03-01 0 0.000001 0'), 'admitted admitted again | 2 2', 'to the last fraction of a cent');

-- Whoever must not be waited for, or has no lock, is refused.
select is((select d.verdict from fpm.decide_calls(array[pg_temp.asked(1, '-1 -1 -1', 0, 0, 0)], array[7::bigint], '{}', null, now()) d), 'busy', 'a supplier whose row is locked');
select is((select d.verdict from fpm.decide_calls(array[jsonb_populate_record(pg_temp.asked(1, '-1 -1 -1', 0, 0, 0), jsonb_build_object('supplier_id', gen_random_uuid()))],
	array[7::bigint], '{}', null, now()) d), 'unauthenticated', 'one who was deleted since the look');
select is((select d.verdict || d.retry_after_s from fpm.decide_calls(array[pg_temp.asked(1, '-1 -1 -1', 0, 0, 0)], '{}', '{}', null, now()) d), 'rate_limit1',
	'one that an earlier look refused, and would fit now');

-- A set of many suppliers, endpoints and errors: each its own answer, by number.
delete from fpm.counters;
delete from public.ai_usage_tracking;
create temp table many as
	select r.* from fpm.admit_calls(array(
		select row(case when i = 3 then 'no such key' else pg_temp.key(case when i % 2 = 0 then 'ann' else 'zoe' end) end, 'req_' || i, 'email_template', '/e', 'openai',
			case when i = 4 then 'gpt-99' else 'gpt-4o-mini' end, 0, 0, 0, 1000, 250, 1000, null, null, 0, 60000, 0, 'w', false, null, (i + 1) / 2)::fpm.admit_call
		from generate_series(1, 6) i)) r;
select is((select string_agg(m.verdict, ' ' order by m.n) from many m), 'admitted admitted unauthenticated model_unknown admitted admitted', 'six calls at once');
select is((select string_agg(t.request_id, ' ' order by m.n) from many m join public.ai_usage_tracking t on t.id = m.id), 'req_1 req_2 req_5 req_6', 'each with its own row');
select is((select string_agg(c.day_count::text, ' ') from fpm.counters c), '2 2', 'and its supplier''s counter');
select is((select string_agg(concat_ws(' ', s.n, s.done, s.state, s.cost_cents), ', ' order by s.n) from fpm.settle_calls(array(
	select row(m.id, m.created_us, m.lock_key, 'settled', 100, 0, 50, false, 1, null, null, 1)::fpm.settle_call from many m order by m.n)) s),
	'1 t settled 0.0045, 2 t settled 0.0045, 3 f, 4 f, 5 t settled 0.0045, 6 t settled 0.0045', 'and settled at once, each by its number');
select is_empty('select * from fpm.audit()', 'all is equal');

-- An answer that is being made for another call.
create function pg_temp.ask(p_name text, p_content text, p_waited_for uuid default null) returns fpm.admission language sql as $$
	select r from fpm.admit_calls(array[row(pg_temp.key(p_name), 'req', 'email_template', '/e', 'openai', 'gpt-4o-mini', 0, 0, 0, 1000, 250, 1000,
		encode(sha256(convert_to(p_content, 'UTF8')), 'hex'), 'shared', 3600, 60000, 0, 'w', false, p_waited_for, 1)::fpm.admit_call]) r
$$;
create temp table maker as select * from pg_temp.ask('ann', 'poem');
select is((select verdict from maker), 'admitted', 'the first makes it');
select is((pg_temp.ask('zoe', 'poem')).verdict, 'in_flight', 'another waits for it');
select is((pg_temp.ask('zoe', 'poem')).maker, id::text, 'and is told for whom') from maker;
select is((pg_temp.ask('zoe', 'another')).verdict, 'admitted', 'one for something else does not');
select is((pg_temp.counter('zoe')).day_count, 3::bigint, 'waiting takes no place');
update public.ai_usage_limits set daily_limit = 3 where tier_name = 'enterprise' and feature_type = 'email_template';
select is((pg_temp.ask('zoe', 'poem')).verdict, 'daily_limit', 'and is for those alone who have one');
update public.ai_usage_limits set daily_limit = -1 where tier_name = 'enterprise' and feature_type = 'email_template';
select is((pg_temp.ask('zoe', 'poem', id)).verdict, 'in_flight', 'asked again while it is made') from maker;
select count(s) from maker, fpm.settle_calls(array[row(id, created_us, lock_key, 'failed', 0, 0, 0, false, 1, 'upstream_error', null, 1)::fpm.settle_call]) s;
create temp table second as select * from pg_temp.ask('ann', 'poem');
select is((select verdict from second), 'admitted', 'it failed: the next makes it');
select is((pg_temp.ask('zoe', 'poem', id)).verdict, 'admitted', 'and who has waited for it waits for no other') from maker;
select count(s) from second, fpm.settle_calls(array[row(id, created_us, lock_key, 'settled', 100, 0, 50, false, 1, null, 'roses', 1)::fpm.settle_call]) s;
select is((select (a.verdict, a.answer)::text from pg_temp.ask('zoe', 'poem') a), '(cached,roses)', 'and it is there for all');
select is((select string_agg(r.verdict, ' ' order by r.n) from fpm.admit_calls(array(
	select row(pg_temp.key(case when i = 1 then 'ann' else 'zoe' end), 'req', 'email_template', '/e', 'openai', 'gpt-4o-mini', 0, 0, 0, 1000, 250, 1000, repeat('0', 64), 'shared', 3600,
		60000, 0, 'w', false, null, greatest(i - 1, 1))::fpm.admit_call from generate_series(1, 3) i)) r), 'admitted in_flight in_flight', 'of those that come at once, one makes it');

select * from finish();
rollback;
