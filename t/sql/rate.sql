begin;
\ir lib/fixture.sql
select plan(26);

select pg_temp.supplier('ann', 'enterprise');
select pg_temp.supplier('ben', 'enterprise');

-- As time would: the clock cannot be moved, so the buckets are.
create function pg_temp.wait(p_seconds numeric) returns void language sql as $$
	update fpm.rate_buckets set full_at = full_at - p_seconds * interval '1 second'
$$;

-- 5/hour
create temp table first as select * from pg_temp.admit('ann', p_rate => '5/3600/0');
select is((select (verdict, rate_limit, rate_remaining)::text from first), '(admitted,5,4)', 'five an hour: the first, four left');
select is((select rate_reset_s from first), 720, 'full again in twelve minutes');
select is(pg_temp.verdicts(5, 'ann', p_rate => '5/3600/0'), 'admitted 4, rate_limit 1', 'five at once, not six');
create temp table refused as select * from pg_temp.admit('ann', p_rate => '5/3600/0');
select is((select (verdict, rate_limit, rate_remaining)::text from refused), '(rate_limit,5,0)', 'none left');
select ok((select retry_after_s between 718 and 720 from refused), 'the next in twelve minutes');
select ok((select rate_reset_s between 3598 and 3600 from refused), 'all in an hour');
select is((select ticket from refused), null, 'no ticket');
select is((select count(*) from public.ai_usage_tracking), 5::bigint, 'no row');
select is((pg_temp.counter('ann')).day_count, 5::bigint, 'no place of the day');
select is((pg_temp.admit('ben', p_rate => '5/3600/0')).verdict, 'admitted', 'another supplier has a bucket of its own');
select is((pg_temp.admit('ann', p_endpoint => '/other', p_rate => '5/3600/0')).verdict, 'admitted', 'and another endpoint');

select pg_temp.wait(700);
select is((pg_temp.admit('ann', p_rate => '5/3600/0')).verdict, 'rate_limit', 'too early, still no');
select pg_temp.wait((pg_temp.admit('ann', p_rate => '5/3600/0')).retry_after_s);
select is((pg_temp.admit('ann', p_rate => '5/3600/0')).verdict, 'admitted', 'who waits as told is let through');
select is((pg_temp.admit('ann', p_rate => '5/3600/0')).verdict, 'rate_limit', 'once');
select pg_temp.wait(3600);
select is(pg_temp.verdicts(6, 'ann', p_rate => '5/3600/0'), 'admitted 5, rate_limit 1', 'an hour later five again, and no second burst behind them');
select pg_temp.wait(86400);
select is(pg_temp.verdicts(6, 'ann', p_rate => '5/3600/0'), 'admitted 5, rate_limit 1', 'a day of silence saves up no more than five');

-- 10/second burst 20, 3/second
select is(pg_temp.verdicts(20, 'ann', 'email_template', '10/3600/20'), 'admitted 10, rate_limit 10', 'another rate looks at the same bucket');
delete from fpm.rate_buckets;
select is(pg_temp.verdicts(21, 'ann', 'email_template', '10/3600/20'), 'admitted 20, rate_limit 1', 'a burst of twenty');
select pg_temp.wait(3600);
select is(pg_temp.verdicts(12, 'ann', 'email_template', '10/3600/20'), 'admitted 10, rate_limit 2', 'and then ten a period');
delete from fpm.rate_buckets;
select is((pg_temp.admit('ann', p_rate => '7/3600/1')).rate_reset_s, 515, 'a share that does not come out even is rounded up');
select is(b.full_at - t.created_at, interval '514.285715 seconds', 'to the microsecond: seven never take less than the hour')
from fpm.rate_buckets b, public.ai_usage_tracking t where t.created_at = (select max(n.created_at) from public.ai_usage_tracking n);

-- Rate and other limits at once: the rate is named, the longest wait is told.
update public.ai_usage_limits set daily_limit = 0 where tier_name = 'enterprise' and feature_type = 'email_template';
create temp table both_limits as select * from pg_temp.admit('ann', p_rate => '7/3600/1');
select is((select verdict from both_limits), 'rate_limit', 'the rate is named first');
select ok((select retry_after_s >= 514 and abs(retry_after_s - extract(epoch from ((date_trunc('day', clock_timestamp() at time zone 'UTC') + interval '1 day')
	at time zone 'UTC' - clock_timestamp()))) < 2 or retry_after_s in (514, 515) from both_limits), 'the wait is that of the limit that lasts longest');
delete from fpm.rate_buckets;
select is((pg_temp.admit('ann', p_rate => '7/3600/1')).verdict, 'daily_limit', 'then the day');
select is((pg_temp.admit('ann', p_rate => '7/3600/1')).rate_remaining, 1, 'and a call refused for another reason takes no place of the rate');
select is((select count(*) from fpm.rate_buckets), 0::bigint, 'nor writes anything');

select * from finish();
rollback;
