begin;
\ir lib/fixture.sql
select plan(50);

select pg_temp.supplier('ann', 'starter', 'org');
select pg_temp.supplier('ben', 'starter', 'org');
select pg_temp.supplier('zoe', 'starter', 'other org');

-- Makes an answer and keeps it.
create function pg_temp.make(p_name text, p_scope text, p_content text, p_answer text) returns text language sql as $$
	select (pg_temp.settle((pg_temp.admit(p_name, p_content => p_content, p_scope => p_scope)).ticket, p_content => p_answer)).state
$$;
create function pg_temp.ask(p_name text, p_scope text, p_content text) returns text language sql as $$
	select a.verdict || coalesce(' ' || a.answer, '') from pg_temp.admit(p_name, p_content => p_content, p_scope => p_scope) a
$$;

-- A hit.
select is(pg_temp.make('ann', 'shared', 'content', 'hello'), 'settled', 'an answer is made');
create temp table hit as select * from pg_temp.admit('zoe', p_content => 'content', p_scope => 'shared', p_model => 'gpt-4o-mini', p_rate => '5/3600/0');
select is((select (verdict, answer, model)::text from hit), '(cached,hello,gpt-4o-mini)', 'and given again');
select is((select (day_left, month_left, rate_remaining)::text from hit), '(4,19,4)', 'it takes a place of the day, the month and the rate');
select is((pg_temp.row_of(ticket)).state, 'cached', 'it has a row') from hit;
select is((pg_temp.row_of(ticket)).cost_cents, 0::numeric, 'that costs nothing') from hit;
select is((pg_temp.row_of(ticket)).tokens_used, 0::bigint, 'and took no tokens') from hit;
select is((pg_temp.row_of(ticket)).success, true, 'and is a success') from hit;
select is((pg_temp.row_of(ticket)).tokens_saved, 150::bigint, 'and says what it saved') from hit;
select is((pg_temp.row_of(ticket)).saved_cents, 0.0045, 'in cents too') from hit;
select is((select cache_hits from public.ai_response_cache), 1::bigint, 'the entry counts its hits');
select is((select tokens_saved from public.ai_response_cache), 150::bigint, 'and what they saved together');
select is((pg_temp.settle(ticket)).done, false, 'there is nothing to settle') from hit;
select is((pg_temp.settle(ticket)).state, 'cached', 'as settle says') from hit;
select is((select (requests, cached, tokens_saved)::text from fpm.usage_daily where supplier_id = pg_temp.id('zoe')), '(1,1,150)', 'the day''s sums have it');
select is(pg_temp.ask('zoe', 'shared', 'other content'), 'admitted', 'other content is no hit');
select is((select verdict from pg_temp.admit('zoe')), 'admitted', 'nor is a call without a content hash');
select is((select verdict from pg_temp.admit('zoe', p_content => 'content', p_scope => 'off')), 'admitted', 'nor one with the cache off');
select is((select char_length(prompt_hash) from public.ai_response_cache), 64, 'the key is a SHA-256');
select isnt((select prompt_hash::text from public.ai_response_cache), encode(sha256('content'), 'hex'), 'over more than the content');

-- Limits hold for hits.
update fpm.counters set day_count = 5;
select is(pg_temp.ask('zoe', 'shared', 'content'), 'daily_limit', 'a hit is answered within the limits only');
update fpm.counters set day_count = 0, month_cost = 500, reserved = 0;
select is(pg_temp.ask('zoe', 'shared', 'content'), 'cached hello', 'one that costs nothing fits a month''s cost that is just used up');
select is((select (cache_hits, tokens_saved)::text from public.ai_response_cache), '(2,300)', 'the second hit is added to the first');
select is(pg_temp.ask('zoe', 'shared', 'more content'), 'cost_limit', 'where a generation does not');
delete from fpm.counters;

-- Scopes.
select pg_temp.make('ann', 'organization', 'content', 'ours');
select pg_temp.make('ann', 'supplier', 'content', 'mine');
select is(pg_temp.ask('ben', 'organization', 'content'), 'cached ours', 'scope organization: a colleague has it');
select is(pg_temp.ask('zoe', 'organization', 'content'), 'admitted', 'a stranger has not');
select is(pg_temp.ask('ann', 'supplier', 'content'), 'cached mine', 'scope supplier: the supplier has it');
select is(pg_temp.ask('ben', 'supplier', 'content'), 'admitted', 'not even a colleague has');
select is((select string_agg(concat_ws(' ', a.scope, case a.organization_id when pg_temp.id('org') then 'org' end, case a.supplier_id when pg_temp.id('ann') then 'ann' end), ', ' order by a.scope)
	from public.ai_response_cache a), 'organization org, shared, supplier ann', 'each entry says whose it is, and nobody else''s');
update public.user_profiles set organization_id = null;
select is(pg_temp.ask('ann', 'organization', 'content'), 'cached mine', 'without an organisation, its scope is the supplier''s');
select is(pg_temp.ask('zoe', 'organization', 'content'), 'admitted', 'and the unorganised do not share');

-- What is kept, and for how long.
select pg_temp.settle((pg_temp.admit('zoe', p_content => 'kept')).ticket, 'failed', p_content => 'bad');
select pg_temp.settle((pg_temp.admit('zoe', p_content => 'kept')).ticket, 'aborted', p_content => 'half');
delete from fpm.counters;
select pg_temp.settle((pg_temp.admit('zoe', p_content => 'kept', p_ttl => 0)).ticket, p_content => 'gone at once');
select is((select count(*) from public.ai_response_cache where response_content in ('bad', 'half')), 0::bigint, 'what failed or was cut short is not kept');
select is(pg_temp.ask('zoe', 'shared', 'kept'), 'admitted', 'nor what lives for no time');
update public.ai_response_cache set expires_at = clock_timestamp() - interval '1 second' where scope = 'shared';
delete from fpm.counters;
create temp table anew as select * from pg_temp.admit('zoe', p_content => 'content');
select is((select verdict from anew), 'admitted', 'an old answer is not given');
select pg_temp.settle(ticket, p_content => 'hello again') from anew;
select is(pg_temp.ask('zoe', 'shared', 'content'), 'cached hello again', 'a new one takes its place');
select pg_temp.make('zoe', 'supplier', 'one', 'x');
delete from public.user_profiles where id = pg_temp.id('zoe');
select is((select count(*) from public.ai_response_cache where supplier_id = pg_temp.id('zoe')), 0::bigint, 'a supplier''s entries go with it');

-- Sweeping.
select pg_temp.make('ben', 'shared', 'swept', 'x');
update public.ai_response_cache set expires_at = clock_timestamp() - interval '1 second';
update public.ai_response_cache set expires_at = clock_timestamp() + interval '1 hour' where response_content = 'x';
insert into fpm.cache_hits_pending select id, 2, 300 from public.ai_response_cache where response_content = 'x';
insert into fpm.cache_hits_pending values (gen_random_uuid(), 1, 1);
select is((select cache from fpm.sweep(null)), 3::bigint, 'sweep deletes what is old');
select is((select string_agg(response_content, ',') from public.ai_response_cache), 'x', 'and only that');
select is((select (cache_hits, tokens_saved)::text from public.ai_response_cache), '(2,300)', 'and adds the hits that were noted aside');
select is((select count(*) from fpm.cache_hits_pending), 0::bigint, 'which are noted no more');

-- What the audit says of entries that nothing else checks.
select is_empty('select * from fpm.audit() where check_name like ''cache entry%''', 'each has its owner and its size');
update public.ai_response_cache set scope = 'organization' where response_content = 'x';
select results_eq('select check_name, expected, found from fpm.audit() where check_name like ''cache entry%''',
	$$values ('cache entry: owner of another scope', 'organization', '')$$, 'one without its owner is found');
update public.ai_response_cache set scope = 'shared', content_bytes = 2 where response_content = 'x';
select results_eq('select check_name, expected, found from fpm.audit() where check_name like ''cache entry%''',
	$$values ('cache entry: bytes', '1', '2')$$, 'and one of another size');

-- A size that it is held to.
delete from public.ai_response_cache;
insert into public.ai_response_cache (prompt_hash, feature_type, model_used, response_content, content_bytes, expires_at)
select encode(sha256(convert_to('of ' || i, 'UTF8')), 'hex'), 'f', 'm', repeat(case when i = 1 then 'é' else 'x' end, case when i = 1 then 50 else 100 end), 100,
	now() + interval '1 hour' + i * interval '1 second'
from generate_series(1, 1200) i;
select is((select cache from fpm.sweep(null)), 0::bigint, 'no bound, nothing goes');
select is((select cache from fpm.sweep(null, 120000)), 0::bigint, 'nor where all fits, byte for byte');
select is((select (cache, more)::text from fpm.sweep(null, 119999)), '(1,f)', 'one byte too much is one entry');
select is((select count(*) from public.ai_response_cache where prompt_hash = encode(sha256('of 1'), 'hex')), 0::bigint, 'the one that expires soonest');
select is((select (cache, more)::text from fpm.sweep(null, 10050)), '(500,t)', 'much too much goes in portions');
select is((select (cache, more)::text from fpm.sweep(null, 10050)), '(500,t)', 'and there is more');
select is((select (cache, more)::text from fpm.sweep(null, 10050)), '(99,f)', 'until it fits');
select is((select string_agg(a.expires_at::text, ',') from (select min(b.expires_at) as expires_at from public.ai_response_cache b) a),
	(now() + interval '1 hour 1101 seconds')::text, 'what lives longest has stayed');

select * from finish();
rollback;
