-- Calls that nothing stands in the way of (admit_ready): admitted exactly as admit_calls admits them, and left to it where anything does.
begin;
\ir lib/fixture.sql
select plan(44);

select pg_temp.supplier('ann', 'starter', 'org');
select pg_temp.supplier('zoe', 'enterprise');

-- A call as the daemon asks for it, with everything at its usual value.
create function pg_temp.ready_call(p_name text, p_content text default null, p_scope text default 'supplier', p_owner text default null, p_id uuid default gen_random_uuid(),
	p_feature text default 'email_template', p_provider text default 'openai', p_model text default 'gpt-4o-mini', p_max_tokens bigint default 1000, p_rank int default 1,
	p_lock_key bigint default null, p_key_id uuid default null) returns fpm.ready_call
language sql as $$
	select row(p_id, coalesce(p_lock_key, fpm.lock_key(pg_temp.id(p_name), p_feature)),
		coalesce(p_key_id, (select k.id from fpm.api_keys k where k.key_hash = pg_temp.key(p_name))),
		'request of ' || p_name, p_feature, '/api/ai/generate-email-template', p_provider, p_model, 1000, 250, p_max_tokens,
		fpm.cache_key(p_scope, pg_temp.id(p_owner), encode(sha256(convert_to(p_content, 'UTF8')), 'hex')), case when p_content is not null then p_scope end,
		case when p_content is not null then pg_temp.id(p_owner) end, 3600, 60000, 'w1', false, p_rank)::fpm.ready_call
$$;

-- The numbers of those that are admitted: '1 3'; '' for none.
create function pg_temp.ready(variadic p_calls fpm.ready_call[]) returns text
language sql as $$
	select coalesce(string_agg(r.n::text, ' ' order by r.n), '') from fpm.admit_ready(p_calls) r
$$;

-- What only an earlier admission leaves behind: today's counter.
select is(pg_temp.ready(pg_temp.ready_call('ann')), '', 'the first call of the day is for admit_calls to decide');
create temp table first as select * from pg_temp.admit('ann', p_content => 'a letter', p_scope => 'supplier');
select is((select verdict from first), 'admitted', 'which it is');
select is((select count(*) from pg_temp.admit('zoe')), 1::bigint, 'and so with Zoe');

-- The same row.
create temp table said as select * from fpm.admit_ready(array[pg_temp.ready_call('ann', 'another letter', p_owner => 'ann', p_id => '01920000-0000-7000-8000-000000000001')]);
select is((select n from said), 1::bigint, 'the next is ready');
select is((select (trim_scale(price_input), trim_scale(price_cached), trim_scale(price_output))::text from said), '(0.00000015,0.000000075,0.0000006)', 'its price, exact');
select is(to_jsonb(b) - '{id,created_at,expires_at,cache_hash}'::text[], to_jsonb(a) - '{id,created_at,expires_at,cache_hash}'::text[], 'its row is as admit_calls writes it')
from public.ai_usage_tracking a, public.ai_usage_tracking b
where a.id = (select left(ticket, 36)::uuid from first) and b.id = '01920000-0000-7000-8000-000000000001';
select is(o.cache_hash, fpm.cache_key('supplier', pg_temp.id('ann'), encode(sha256('another letter'), 'hex')), 'with its own key of the cache')
from fpm.ai_usage_open o where o.id = '01920000-0000-7000-8000-000000000001';
select is(o.expires_at - o.created_at, interval '60 seconds', 'and its own end') from fpm.ai_usage_open o where o.id = '01920000-0000-7000-8000-000000000001';
select is((extract(epoch from o.created_at) * 1000000)::bigint, (select created_us from said), 'whose time is told') from fpm.ai_usage_open o
where o.id = '01920000-0000-7000-8000-000000000001';
select is(format('%s %s %s', (c).day_count, (c).month_count, trim_scale((c).reserved)), '2 2 0.15', 'and it is counted') from pg_temp.counter('ann') c;
select is((select done from pg_temp.settle('01920000-0000-7000-8000-000000000001.' || (select created_us from said) || '.' || fpm.lock_key(pg_temp.id('ann'), 'email_template'))),
	true, 'and can be settled');

-- Who calls, with what.
select is(pg_temp.ready(pg_temp.ready_call('ann', p_key_id => gen_random_uuid())), '', 'an unknown key');
select is(pg_temp.ready(pg_temp.ready_call('ann', p_lock_key => 7)), '', 'a lock that is not its own');
select is(pg_temp.ready(pg_temp.ready_call('ann', p_lock_key => fpm.lock_key(pg_temp.id('zoe'), 'email_template'))), '', 'nor somebody else''s');
select is(pg_temp.ready(pg_temp.ready_call('ann', p_model => 'gpt-99')), '', 'an unknown model');
select is(pg_temp.ready(pg_temp.ready_call('ann', p_provider => 'anthropic')), '', 'a model of another provider');
update public.ai_models set is_active = false where model_name = 'gpt-4';
select is(pg_temp.ready(pg_temp.ready_call('ann', p_model => 'gpt-4')), '', 'a model that is switched off');
update public.ai_models set cost_per_output_token = null where model_name = 'gpt-4-turbo';
select is(pg_temp.ready(pg_temp.ready_call('ann', p_model => 'gpt-4-turbo')), '', 'a model without a price');
select is(pg_temp.ready(pg_temp.ready_call('ann', p_feature => 'chatbot')), '', 'a feature that was not called today');

-- The cache.
select is(pg_temp.ready(pg_temp.ready_call('ann', 'a letter', p_owner => 'ann')), '', 'an answer that is being made');
select is(pg_temp.ready(pg_temp.ready_call('ann', 'a third', p_owner => 'zoe')), '', 'an owner that is another');
select is(pg_temp.ready(pg_temp.ready_call('ann', 'a third', 'organization', 'other org')), '', 'an organisation that is another');
select is(pg_temp.ready(pg_temp.ready_call('zoe', 'a third', 'organization', 'org')), '', 'an organisation where there is none');
select is(pg_temp.ready(pg_temp.ready_call('zoe', 'a third', 'nonsense', 'zoe')), '', 'a scope that is none');
select is((select done from first f, pg_temp.settle(f.ticket, p_content => 'Dear Sir')), true, 'the letter is kept');
select is(pg_temp.ready(pg_temp.ready_call('ann', 'a letter', p_owner => 'ann')), '', 'an answer that is kept');
update public.ai_response_cache set expires_at = now() - interval '1 second';
select is(pg_temp.ready(pg_temp.ready_call('ann', 'a letter', p_owner => 'ann')), '1', 'one that was kept too long is made anew');
select is(pg_temp.ready(pg_temp.ready_call('ann', 'a third', 'organization', 'org')), '1', 'the organisation''s');
select is(pg_temp.ready(pg_temp.ready_call('zoe', 'a third', 'shared')), '1', 'everybody''s');

-- The limits: a starter has five e-mails a day and twenty a month, and four calls are counted.
update fpm.counters set day_count = 1, month_count = 1, month_cost = 0, reserved = 499.85 where supplier_id = pg_temp.id('ann');
select is(pg_temp.ready(pg_temp.ready_call('ann'), pg_temp.ready_call('ann', p_rank => 2)), '1', 'with a limit of cost, only the first of a set');
select is(pg_temp.ready(pg_temp.ready_call('ann')), '1', 'what is held counts as spent: to the last of it');
select is(pg_temp.ready(pg_temp.ready_call('ann')), '', 'and no further');
update fpm.counters set day_count = 4, month_count = 4, reserved = 0.3 where supplier_id = pg_temp.id('ann');
select is(pg_temp.ready(pg_temp.ready_call('ann', p_max_tokens => 100000000)), '', 'more than the month''s cost');
update fpm.counters set month_count = 20;
select is(pg_temp.ready(pg_temp.ready_call('ann')), '', 'the month''s calls are used up');
update fpm.counters set month_count = 4;
select is(pg_temp.ready(pg_temp.ready_call('ann')), '1', 'the day''s last');
select is(pg_temp.ready(pg_temp.ready_call('ann')), '', 'and no more');
update fpm.counters set day = day - 1;
select is(pg_temp.ready(pg_temp.ready_call('zoe')), '', 'a new day is for admit_calls to open');
update fpm.counters set day = day + 1;

-- A set.
update fpm.counters set day_count = 7, month_count = 7, reserved = 0 where supplier_id = pg_temp.id('zoe');
select is(pg_temp.ready(pg_temp.ready_call('zoe', p_rank => 1), pg_temp.ready_call('zoe', p_rank => 2), pg_temp.ready_call('zoe', p_rank => 3, p_model => 'gpt-99')), '1 2',
	'each of a set for itself');
select is(format('%s %s %s', (c).day_count, (c).month_count, trim_scale((c).reserved)), '9 9 0.15', 'all of them are counted') from pg_temp.counter('zoe') c;
update public.ai_usage_limits set daily_limit = 10 where tier_name = 'enterprise' and feature_type = 'email_template';
select is(pg_temp.ready(pg_temp.ready_call('zoe'), pg_temp.ready_call('zoe', p_rank => 2)), '1', 'the second is one call more of the day');
update public.ai_usage_limits set daily_limit = -1, monthly_limit = 11 where tier_name = 'enterprise' and feature_type = 'email_template';
select is(pg_temp.ready(pg_temp.ready_call('zoe'), pg_temp.ready_call('zoe', p_rank => 2)), '1', 'and of the month');
update public.ai_usage_limits set monthly_limit = -1 where tier_name = 'enterprise' and feature_type = 'email_template';
select is(pg_temp.ready(variadic '{}'::fpm.ready_call[]), '', 'a set of none');

-- A model whose provider has no price of its own for what it had cached.
update public.ai_models set cost_per_cached_token = null where model_name = 'gpt-4o-mini';
select is(trim_scale(r.price_cached), 0.00000015, 'cached tokens at the price of others') from fpm.admit_ready(array[pg_temp.ready_call('zoe')]) r;

-- A key that was revoked a moment ago.
update fpm.api_keys set revoked_at = now() where supplier_id = pg_temp.id('zoe');
select is(pg_temp.ready(pg_temp.ready_call('zoe')), '', 'a revoked key');

select * from finish();
rollback;
