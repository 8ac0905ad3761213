begin;
\ir lib/fixture.sql
select plan(50);

select pg_temp.supplier('ann', 'starter', 'org');
select pg_temp.supplier('zoe', 'enterprise');

-- Who calls, with what.
select is((select (fpm.admit('no such key', 'r', 'email_template', '/e', 'openai', 'gpt-4o-mini', 0, 0, 0, 1, 1, 1, null, null, 0, 1, 1, 'w', false)).verdict),
	'unauthenticated', 'an unknown key');
select is((pg_temp.admit('ann', p_model => 'gpt-99')).verdict, 'model_unknown', 'a model that is not in ai_models');
select is((pg_temp.admit('ann', p_provider => 'anthropic')).verdict, 'model_unknown', 'a model of another provider');
update public.ai_models set is_active = false where model_name = 'gpt-4';
select is((pg_temp.admit('ann', p_model => 'gpt-4')).verdict, 'model_unknown', 'a model that is switched off');
update public.ai_models set cost_per_output_token = null where model_name = 'gpt-4-turbo';
select is((pg_temp.admit('ann', p_model => 'gpt-4-turbo')).verdict, 'model_unknown', 'a model without a price');
select is((select count(*) from public.ai_usage_tracking), 0::bigint, 'none of these left a row');
select is((select count(*) from fpm.counters), 0::bigint, 'or a counter');

-- An admitted call.
create temp table a as select * from pg_temp.admit('ann');
select is((select verdict from a), 'admitted', 'a good call');
select is((select (day_left, month_left)::text from a), '(4,19)', 'what is left counts this call');
select is((select (price_input, price_cached, price_output, model)::text from a), '(0.00000015,0.000000075,0.0000006,gpt-4o-mini)', 'its price, exact');
select is((select (rate_limit, rate_remaining, rate_reset_s, retry_after_s)::text from a), '(,,,)', 'no rate where the endpoint has none');
select is((pg_temp.row_of(ticket)).state, 'reserved', 'its row is in the ledger') from a;
select is((pg_temp.row_of(ticket)).reserved_cents, 0.075, 'with the upper bound: 100 * (1000 * 0.00000015 + 1000 * 0.0000006)') from a;
select is((pg_temp.row_of(ticket)).organization_id, pg_temp.id('org'), 'and the organisation of the moment') from a;
select is((pg_temp.row_of(ticket)).request_id, 'request of ann', 'and the request id') from a;
select is((pg_temp.row_of(ticket)).success, null, 'and no success yet') from a;
select is((select p.price_output from fpm.model_prices p where p.id = (pg_temp.row_of(a.ticket)).price_id), 0.0000006, 'and its price version') from a;
select is((pg_temp.counter('ann')).reserved, 0.075, 'the counter holds the reservation');
select is((select count(*) from fpm.ai_usage_open), 1::bigint, 'and it is open');

-- The day, the month, the tiers.
select is(pg_temp.verdicts(5, 'ann'), 'admitted 4, daily_limit 1', 'a starter has five e-mails a day');
create temp table d as select * from pg_temp.admit('ann');
select is((select verdict from d), 'daily_limit', 'and no more');
select is((select day_left from d), 0::bigint, 'none left');
select ok((select abs(retry_after_s - extract(epoch from ((date_trunc('day', clock_timestamp() at time zone 'UTC') + interval '1 day') at time zone 'UTC' - clock_timestamp()))) < 2
	from d), 'till midnight UTC');
select is((select count(*) from public.ai_usage_tracking), 5::bigint, 'a refused call has no row');
select is(pg_temp.verdicts(3, 'ann', 'form_generation'), 'admitted 2, daily_limit 1', 'another feature counts for itself');
select is(pg_temp.verdicts(3, 'ann', 'chatbot'), 'admitted 2, daily_limit 1', 'a feature without a row: two a day');

update fpm.counters set day = day - 1 where feature_type = 'email_template';
select is((pg_temp.admit('ann')).day_left, 4::bigint, 'the next day begins at nought');
select is((pg_temp.counter('ann')).month_count, 6::bigint, 'the month goes on');
update fpm.counters set month_count = 20, day_count = 0;
create temp table m as select * from pg_temp.admit('ann');
select is((select verdict from m), 'monthly_limit', 'twenty e-mails a month');
select ok((select abs(retry_after_s - extract(epoch from ((date_trunc('month', clock_timestamp() at time zone 'UTC') + interval '1 month') at time zone 'UTC' - clock_timestamp()))) < 2
	from m), 'till the next month, UTC');
update fpm.counters set day_count = 5;
select is((pg_temp.admit('ann')).verdict, 'monthly_limit', 'the month is named before the day');
update fpm.counters set month = (month - interval '1 month')::date, day = (month - 1), day_count = 5, month_cost = 400, reserved = 7;
select is((pg_temp.admit('ann')).month_left, 19::bigint, 'the next month begins at nought');
select is((pg_temp.counter('ann')).month_cost, 0::numeric, 'its cost too');
select is((pg_temp.counter('ann')).reserved, 0.075, 'and what the last month still holds is not held against it');

select is((pg_temp.admit('zoe')).day_left, null, 'enterprise: no limit is null');
select is(pg_temp.verdicts(30, 'zoe'), 'admitted 30', 'and none is met');
select is(pg_temp.verdicts(3, 'zoe', 'something_else'), 'admitted 2, daily_limit 1', 'but for a feature without a row');

-- Money.
update public.ai_usage_limits set monthly_limit = -1, daily_limit = -1, cost_limit_cents = 0.3 where tier_name = 'enterprise';
delete from fpm.counters;
select is(pg_temp.verdicts(5, 'zoe'), 'admitted 4, cost_limit 1', 'four reservations of 0.075 fill 0.3 cents to the last');
select is((pg_temp.admit('zoe', p_prompt_max => 0, p_max_tokens => 0)).verdict, 'admitted', 'one of nothing still fits');
select is((pg_temp.admit('zoe', p_prompt_max => 0, p_max_tokens => 1)).verdict, 'cost_limit', 'one of 0.00006 cents does not');
select is((pg_temp.counter('zoe')).reserved, 0.3, 'never passed');
select is((pg_temp.settle(t.id || '.' || (extract(epoch from t.created_at) * 1000000)::bigint || '.'
		|| fpm.lock_key(t.supplier_id, t.feature_type))).cost_cents, '0.0045', 'one settled at less')
from (select * from public.ai_usage_tracking where supplier_id = pg_temp.id('zoe') and feature_type = 'email_template' and reserved_cents > 0
	order by created_at desc limit 1) t;
select is((pg_temp.admit('zoe', p_max_tokens => 925)).verdict, 'admitted', 'what it gave back is there to be used: 0.0705 cents');
select is((pg_temp.admit('zoe', p_prompt_max => 0, p_max_tokens => 1)).verdict, 'cost_limit', 'to the last');

update public.ai_models set cost_per_cached_token = null where model_name = 'gpt-4o-mini';
select is((pg_temp.admit('zoe', 'form_generation')).price_cached, '0.00000015', 'a model without a price for cached tokens: that of others');

-- A clock that was set back opens no day twice.
insert into fpm.counters (supplier_id, feature_type, day, day_count, month, month_count, month_cost, reserved)
select pg_temp.id('ann'), 'email_template', t.day, 5, date_trunc('month', t.day::timestamp), 5, 0, 0
from (select (clock_timestamp() at time zone 'UTC')::date + 1 as day) t;
select is((pg_temp.admit('ann')).verdict, 'daily_limit', 'a day that has begun goes on, though the clock was set back');

-- What makes no sense does not raise.
select lives_ok($$select fpm.admit(pg_temp.key('zoe'), null, 'chatbot', null, 'openai', 'gpt-4o-mini', -5, -5, -5, -5, -5, -5, null, 'nonsense', -5, -5, -5, null, null)$$,
	'negative and missing figures');
select lives_ok($$select fpm.admit(pg_temp.key('zoe'), '', 'chatbot', '/e', 'openai', 'gpt-4o-mini', 2147483647, 2147483647, 2147483647, 9223372036854775807,
	9223372036854775807, 2147483647, repeat('x', 100000), 'organization', 2147483647, 9223372036854775807, 9223372036854775807, 'w', true)$$, 'the largest figures');

select lives_ok($$select fpm.admit(pg_temp.key('zoe'), '', 'chatbot', '/f', 'openai', 'gpt-4o-mini', 1, 2147483647, 2147483647, 1, 1, 1, null, null, 0, 1, 1, 'w', true)
	from generate_series(1, 2)$$, 'the slowest rate of all');

update fpm.api_keys set revoked_at = now() where supplier_id = pg_temp.id('zoe');
select is((pg_temp.admit('zoe', 'form_generation')).verdict, 'unauthenticated', 'a key that was revoked, which a worker may still remember');

select * from finish();
rollback;
