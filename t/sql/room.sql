-- The decision by itself, at the moments that a running clock never hits.
begin;
select plan(24);

create function pg_temp.room(p_now timestamptz, p_used text default null, p_limits text default '10 2 500', p_reserve numeric default 0,
	p_capacity int default 0, p_step_us bigint default 0, p_full_at timestamptz default null) returns text
language sql as $$
	select concat_ws(' ', coalesce(r.verdict, 'room'), r.retry_after_s, '|', coalesce(r.day_left::text, '-'), coalesce(r.month_left::text, '-'),
		'|', (r.used).day, (r.used).day_count, (r.used).month, (r.used).month_count, (r.used).month_cost, (r.used).reserved, '|', r.rate_remaining, r.rate_reset_s)
	from (select string_to_array(p_limits, ' ') as l, string_to_array(p_used, ' ') as u) v,
		fpm.room(p_now, row(null, null, null, l[1]::int, l[2]::int, l[3]::numeric, 1, 0, 0, 0)::fpm.caller,
			row(null, null, u[1]::date, u[2]::bigint, u[3]::date, u[4]::bigint, u[5]::numeric, u[6]::numeric)::fpm.counters,
			p_reserve, p_capacity, p_step_us, p_full_at) r
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
select is(pg_temp.room('2026-03-31 00:00+00', '2026-03-30 0 2026-03-01 10 0 0'), 'monthly_limit 86400 | 2 0 | 2026-03-31 0 2026-03-01 10 0 0 |', 'the month''s last day');
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
select is(pg_temp.room('2026-03-31 12:00+00', null, '-1 -1 -1', 0, 5, 720000000, '2026-03-31 13:00+00'), 'rate_limit 720 | - - | 2026-03-31 0 2026-03-01 0 0 0 | 0 3600',
	'an empty bucket');
select is(split_part(pg_temp.room('2026-03-31 12:00+00', null, '-1 -1 -1', 0, 100000, 31622400000000, '2026-03-31 13:00+00'), ' ', 1), 'room', 'the largest of all rates');

select * from finish();
rollback;
