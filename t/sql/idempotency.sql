begin;
\ir lib/fixture.sql
select plan(71);

select pg_temp.supplier('ann', 'enterprise', 'org');
select pg_temp.supplier('ben', 'enterprise', 'org');
select fpm.sweep(null);

create function pg_temp.digest(p_text text) returns text language sql immutable as $$ select encode(sha256(convert_to(p_text, 'UTF8')), 'hex') $$;
create function pg_temp.claim(p_name text, p_key text, p_request text, p_body text default 'body', p_timeout_ms bigint default 60000,
	p_keep_ms bigint default 86400000, p_worker text default 'w1',
	out verdict text, out request_id text, out stream boolean, out model text, out problem text, out content text, out usage text) language sql as $$
	select * from fpm.idempotency_claim(pg_temp.key(p_name), pg_temp.digest(p_key), pg_temp.digest(p_body), p_request, p_worker, p_timeout_ms, 0, p_keep_ms)
$$;
-- Admitted with that request's id.
create function pg_temp.admitted(p_name text, p_request text, p_timeout_ms bigint default 60000, p_worker text default 'w1') returns text language sql as $$
	select ticket from fpm.admit(pg_temp.key(p_name), p_request, 'email_template', 'generate-email-template', 'openai', 'gpt-4o-mini', 0, 0, 0, 1000, 250, 1000,
		null, 'off', 0, p_timeout_ms, 0, p_worker, false)
$$;
create function pg_temp.store(p_name text, p_key text, p_request text, p_ticket text, p_content text default 'the answer', p_problem text default null,
	p_stream boolean default false, p_usage text default null) returns boolean language sql as $$
	select fpm.idempotency_store(pg_temp.id(p_name)::text, pg_temp.digest(p_key), p_request, p_ticket, p_stream, 'gpt-4o-mini', p_problem, p_content, p_usage)
$$;
create function pg_temp.release(p_name text, p_key text, p_request text) returns boolean language sql as $$
	select fpm.idempotency_release(pg_temp.id(p_name)::text, pg_temp.digest(p_key), p_request)
$$;

-- The usual way.
select is((pg_temp.claim('ann', 'k', 'r1')).verdict, 'claimed', 'a key that nobody used is claimed');
select is((pg_temp.claim('ann', 'k', 'r2')).verdict, 'in_flight', 'once');
select is((pg_temp.claim('ann', 'k', 'r2', 'another')).verdict, 'mismatch', 'and by another request not at all');
select is((pg_temp.claim('ben', 'k', 'r3')).verdict, 'claimed', 'a colleague''s key of the same name is another');
create temp table t as select pg_temp.admitted('ann', 'r1') as ticket;
select is(pg_temp.store('ann', 'k', 'r1', ticket), true, 'its answer is kept before the call is settled') from t;
select is((pg_temp.claim('ann', 'k', 'r2')).verdict, 'in_flight', 'and is nobody''s before that') from t;
select is((s.done, s.state)::text, '(t,settled)', 'settled') from t, pg_temp.settle(t.ticket) s;
select is((pg_temp.claim('ann', 'k', 'r2'))::text, '(replay,r1,f,gpt-4o-mini,,"the answer",)', 'then it is given again');
select is((pg_temp.claim('ann', 'k', 'r4'))::text, '(replay,r1,f,gpt-4o-mini,,"the answer",)', 'as often as asked');
select is((pg_temp.claim('ann', 'k', 'r4', 'another')).verdict, 'mismatch', 'for the same request only');
select is((pg_temp.claim('ben', 'k', 'r5')).verdict, 'in_flight', 'the colleague''s is his own');
select is(pg_temp.release('ann', 'k', 'r1'), false, 'an answer that is kept is not given up');
select is((select count(*) from public.ai_usage_tracking where request_id ~ '^r'), 1::bigint, 'one row of the ledger');

-- What nothing was spent for.
select (pg_temp.claim('ann', 'refused', 'f1')).verdict;
select is(pg_temp.release('ann', 'refused', 'f2'), false, 'nobody else gives a key up');
select is((pg_temp.claim('ann', 'refused', 'f3')).verdict, 'in_flight', 'nor shortens its time');
select is(pg_temp.release('ann', 'refused', 'f1'), true, 'what was refused frees its key');
select is((pg_temp.claim('ann', 'refused', 'f2', 'another')).verdict, 'claimed', 'for whatever comes next');
create temp table f as select pg_temp.admitted('ann', 'f2') as ticket;
select is(pg_temp.store('ann', 'refused', 'f2', ticket, null, 'upstream_error'), true, 'a failure') from f;
select is((pg_temp.settle(ticket, 'failed', 0, 0, 0)).state, 'failed', 'that used nothing') from f;
select is((pg_temp.claim('ann', 'refused', 'f3')).verdict, 'claimed', 'frees its key too');
create temp table v as select pg_temp.admitted('ann', 'f3') as ticket;
select is((pg_temp.settle(ticket, 'void')).state, 'failed', 'a call that was never sent') from v;
select is(pg_temp.release('ann', 'refused', 'f3'), true, 'as well');

-- What something was spent for.
select (pg_temp.claim('ann', 'failed', 'p1')).verdict;
create temp table p as select pg_temp.admitted('ann', 'p1') as ticket;
select pg_temp.store('ann', 'failed', 'p1', ticket, 'half a', 'upstream_timeout', true, null) from p;
select pg_temp.settle(ticket, 'failed', 10, 0, 3, true) from p;
select is((pg_temp.claim('ann', 'failed', 'p2'))::text, '(replay,p1,t,gpt-4o-mini,upstream_timeout,"half a",)', 'a failure that was charged is the answer: a key is charged once');
select (pg_temp.claim('ann', 'stream', 's1')).verdict;
create temp table s as select pg_temp.admitted('ann', 's1') as ticket;
select pg_temp.store('ann', 'stream', 's1', ticket, 'all of it', null, true, '"usage":{}') from s;
select pg_temp.settle(ticket) from s;
select is((pg_temp.claim('ann', 'stream', 's2'))::text, '(replay,s1,t,gpt-4o-mini,,"all of it","""usage"":{}")', 'a stream has its text and its usage');

-- A request that asked two models has two rows: what the first spent is spent, whatever became of the second.
create function pg_temp.two(p_key text, p_request text, p_tokens bigint) returns text language sql volatile as $$
	select pg_temp.claim('ann', p_key, p_request);
	select pg_temp.settle(pg_temp.admitted('ann', p_request), 'failed', p_tokens, 0, 0, p_tokens > 0);
	select pg_temp.admitted('ann', p_request);
$$;
create temp table two as select pg_temp.two('two', 'w1', 9) as spent, pg_temp.two('two free', 'w2', 0) as free, pg_temp.two('two dead', 'w3', 9) as dead;
select is(pg_temp.release('ann', 'two', 'w1'), false, 'while the second is open the key is not free');
select is((pg_temp.claim('ann', 'two', 'w4')).verdict, 'in_flight', 'but in flight');
select is(pg_temp.store('ann', 'two', 'w1', spent, null, 'upstream_unavailable'), true, 'both failed') from two;
select pg_temp.settle(spent, 'failed', 0, 0, 0), pg_temp.settle(free, 'failed', 0, 0, 0), pg_temp.settle(dead, 'void') from two;
select is((pg_temp.claim('ann', 'two', 'w4')).problem, 'upstream_unavailable', 'the failure is the answer, because the first was charged');
select is(pg_temp.release('ann', 'two dead', 'w3'), false, 'where no answer was kept, the key is not free either');
select is(pg_temp.release('ann', 'two free', 'w2'), true, 'where neither was charged, it is');

-- What died.
select (pg_temp.claim('ann', 'dead', 'd1', p_worker => 'dead')).verdict;
create temp table d as select pg_temp.admitted('ann', 'd1', p_worker => 'dead') as ticket;
select is((pg_temp.claim('ann', 'dead', 'd2')).verdict, 'in_flight', 'while its worker may live');
select (pg_temp.claim('ann', 'dead too', 'd3', p_worker => 'dead')).verdict;
select is((select expired from fpm.sweep('dead')), 1::bigint, 'a worker dies, with a call');
select is((pg_temp.claim('ann', 'dead', 'd2')).verdict, 'lost', 'which was charged: its key says so, and makes no second one');
select is((pg_temp.claim('ann', 'dead', 'd2', 'another')).verdict, 'mismatch', 'to whom it concerns');
select is((pg_temp.claim('ann', 'dead too', 'd4')).verdict, 'claimed', 'a key whose call never came to the ledger is free');
select is(pg_temp.store('ann', 'dead too', 'd3', ticket), false, 'whoever had it keeps nothing any more') from d;
select is(pg_temp.store('ann', 'dead', 'd1', ticket), true, 'but a worker that was not dead keeps its answer late') from d;
select is((pg_temp.claim('ann', 'dead', 'd2')).verdict, 'replay', 'and it is given again: it was charged');
-- Past its time, unswept.
select (pg_temp.claim('ann', 'late', 'l1', p_timeout_ms => 0)).verdict;
create temp table l as select pg_temp.admitted('ann', 'l1', 0) as ticket;
select is((pg_temp.claim('ann', 'late', 'l2')).verdict, 'in_flight', 'as long as the row is open, however late');
select expired from fpm.sweep(null);
select is((pg_temp.claim('ann', 'late', 'l2')).verdict, 'lost', 'until it has been ended');
select is((pg_temp.counter('ann')).day_count, (select count(*) from public.ai_usage_tracking where supplier_id = pg_temp.id('ann') and state <> 'failed'),
	'every call stands for itself');

-- Between keeping the answer and settling.
select (pg_temp.claim('ann', 'kept', 'm1', p_worker => 'dead')).verdict;
create temp table m as select pg_temp.admitted('ann', 'm1', p_worker => 'dead') as ticket;
select pg_temp.store('ann', 'kept', 'm1', ticket) from m;
select expired from fpm.sweep('dead');
select is((pg_temp.claim('ann', 'kept', 'm2')).verdict || ' ' || (pg_temp.row_of(ticket)).state, 'replay expired', 'an answer that was kept is there when its row has been ended by the sweep') from m;

-- A row that is not the request's is not taken for it.
select (pg_temp.claim('ann', 'other row', 'o1')).verdict;
create temp table o as select pg_temp.admitted('ann', 'o2') as mine, pg_temp.admitted('ben', 'o1') as his;
select is(pg_temp.store('ann', 'other row', 'o1', mine), false, 'another request''s') from o;
select is(pg_temp.store('ann', 'other row', 'o1', his), false, 'another supplier''s') from o;
select is(pg_temp.store('ann', 'other row', 'o1', x), false, 'none: ' || coalesce(x, 'null')) from unnest(array['nonsense', null]) x;
select is(fpm.idempotency_store(x, pg_temp.digest('other row'), 'o1', o.mine, false, 'm', null, 'c', null), false, 'nobody''s: ' || coalesce(x, 'null'))
from o, unnest(array['nonsense', null]) x;
select is(fpm.idempotency_release('nonsense', pg_temp.digest('other row'), 'o1'), false, 'nobody releases nothing');
create temp table h as select pg_temp.admitted('ann', 'o1') as ticket;
select is(pg_temp.store('ann', 'other row', 'o1', ticket, repeat('x', 4194305)), false, 'an answer that is too large is not kept') from h;
select is(pg_temp.store('ann', 'other row', 'o1', ticket, repeat('x', 4194304)), true, 'one as large as may be is') from h;

-- Whose key.
select is((fpm.idempotency_claim('nobody', pg_temp.digest('k'), 'f', 'r', 'w', 1, 1, 1)).verdict, 'unauthenticated', 'an unknown caller');
update fpm.api_keys set revoked_at = now() where supplier_id = pg_temp.id('ben');
select is((pg_temp.claim('ben', 'k', 'r6')).verdict, 'unauthenticated', 'one whose key was revoked');
select is((fpm.idempotency_claim(pg_temp.key('ann'), x, 'f', 'r', 'w', 1, 1, 1)).verdict, 'unauthenticated', 'what is no digest: ' || coalesce(x, 'null'))
from unnest(array['short', null]) x;

-- Its time.
select is_empty('select * from fpm.audit()', 'all is equal');
update fpm.idempotency_keys set expires_at = clock_timestamp() where key_digest = pg_temp.digest('k') and supplier_id = pg_temp.id('ann');
select is((pg_temp.claim('ann', 'k', 'n1', 'another')).verdict, 'claimed', 'a key whose time is over is as good as new, swept or not');
update fpm.idempotency_keys set expires_at = clock_timestamp() where key_digest in (pg_temp.digest('stream'), pg_temp.digest('failed'));
create temp table kept as select count(*) as n from fpm.idempotency_keys;
select is((select keys from fpm.sweep(null)), 2::bigint, 'and the sweep takes it away');
select is((select count(*) from fpm.idempotency_keys), n - 2, 'and no other') from kept;
select is((pg_temp.claim('ann', 'short', 'x1', p_timeout_ms => 60000, p_keep_ms => 1)).verdict, 'claimed', 'a key is kept at least as long as its request may be at work');
select is((pg_temp.claim('ann', 'short', 'x2', p_timeout_ms => 60000, p_keep_ms => 1)).verdict, 'in_flight', 'for that');
insert into fpm.idempotency_keys (supplier_id, key_digest, fingerprint, request_id, claimed_at, lease_until, expires_at)
select pg_temp.id('ben'), pg_temp.digest(i::text), 'f', 'r', now(), now(), now() from generate_series(1, 1200) i;
select is((select (keys, more)::text from fpm.sweep(null)), '(1000,t)', 'a thousand at a time');
select is((select (keys, more)::text from fpm.sweep(null)), '(200,f)', 'and then the rest');

-- What was spent, and its answer not kept: giving the key up does not make it free.
select (pg_temp.claim('ann', 'unkept', 'u1')).verdict;
create temp table unkept as select pg_temp.admitted('ann', 'u1') as ticket;
select pg_temp.settle(ticket) from unkept;
select is(pg_temp.release('ann', 'unkept', 'u1'), false, 'a key that something was spent under is not given up');
select is((pg_temp.claim('ann', 'unkept', 'u2')).verdict, 'lost', 'and its answer is lost');
-- A claim that lapsed, and is another request's by now.
select (pg_temp.claim('ann', 'let go', 'lapsed 1')).verdict;
update fpm.idempotency_keys set lease_until = now() where request_id = 'lapsed 1';
select is((pg_temp.claim('ann', 'let go', 'lapsed 2')).verdict, 'claimed', 'a claim that lapsed with nothing spent');
create temp table let_go as select pg_temp.admitted('ann', 'lapsed 1') as ticket;
select is(pg_temp.store('ann', 'let go', 'lapsed 1', ticket), false, 'takes no answer of the first') from let_go;
select is((pg_temp.claim('ann', 'let go', 'lapsed 3')).verdict, 'in_flight', 'it is the second''s');

-- Rows of months that are archived are looked for in vain: what was spent under a key stays spent.
create temp table archived as select (pg_temp.claim('ann', k, 'of ' || k)).verdict from unnest(array['kept long', 'lost long']) k;
create temp table long_kept as select pg_temp.admitted('ann', 'of kept long') as ticket;
select pg_temp.store('ann', 'kept long', 'of kept long', ticket) from long_kept;
select pg_temp.settle(ticket) from long_kept;
update fpm.idempotency_keys set lease_until = now() where request_id = 'of lost long';
insert into fpm.archived_months (month, table_name, row_count, cost_cents) values (date_trunc('month', now() at time zone 'UTC'), 'elsewhere', 0, 0);
delete from public.ai_usage_tracking where supplier_id = pg_temp.id('ann');
select is((pg_temp.claim('ann', 'kept long', 'again')).verdict, 'replay', 'its answer is given again');
select is((pg_temp.claim('ann', 'lost long', 'again')).verdict, 'lost', 'and where none was kept nobody pays twice');
delete from public.user_profiles where id = pg_temp.id('ann');
select is((select count(*) from fpm.idempotency_keys where supplier_id = pg_temp.id('ann')), 0::bigint, 'they go with their supplier');

select * from finish();
rollback;
