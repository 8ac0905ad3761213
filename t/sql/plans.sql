-- What a call reads does not depend on what the planner has seen: it plans once, for tables that were empty, and finds them full. (Settlement's own part is in settle.sql.)
begin;
\ir lib/fixture.sql
select plan(20);

create function pg_temp.key_of(p_i int) returns text language sql as $$
	select encode(sha256(convert_to('key ' || p_i, 'UTF8')), 'hex')
$$;

-- So many calls as one set, from the supplier of this number on: 'admitted 4'.
create function pg_temp.set_of(p_from int, p_count int, p_content text default null, p_rate int default 100, p_worker text default 'w') returns text language sql as $$
	select string_agg(v.verdict || ' ' || v.n, ', ' order by v.verdict) from (
		select r.verdict, count(*) as n
		from fpm.admit_calls(array(
			select row(pg_temp.key_of(i), 'r' || i, 'email_template', '/e', 'openai', 'gpt-4o-mini', p_rate, 3600, 0, 1000, 250, 1000,
				encode(sha256(convert_to(coalesce(p_content, '') || i, 'UTF8')), 'hex'), case when p_content is null then 'off' else 'supplier' end, 3600, 60000, 0, p_worker, false,
				null, 1)::fpm.admit_call
			from generate_series(p_from, p_from + p_count - 1) i)) r
		group by 1) v
$$;

-- The same of calls that are expected to be ready: how many are.
create temp table hopeful (call fpm.ready_call);
create function pg_temp.hope(p_from int, p_count int, p_content text) returns void language sql as $$
	truncate hopeful;
	insert into hopeful
	select row(gen_random_uuid(), fpm.lock_key(k.supplier_id, 'email_template'), k.id, 'r' || i, 'email_template', '/e', 'openai', 'gpt-4o-mini', 1000, 250, 1000,
		fpm.cache_key('supplier', k.supplier_id, encode(sha256(convert_to(p_content || i, 'UTF8')), 'hex')), 'supplier', k.supplier_id, 3600, 60000, 'w', false, 1)::fpm.ready_call
	from generate_series(p_from, p_from + p_count - 1) i join fpm.api_keys k on k.key_hash = pg_temp.key_of(i);
$$;
create function pg_temp.ready_lot() returns bigint language sql as $$
	select count(*) from fpm.admit_ready(array(select h.call from hopeful h order by (h.call).lock_key)) r
$$;

-- What can be settled, once or late, of the calls of so many suppliers; and its settlement.
create temp table lot (call fpm.settle_call);
create function pg_temp.choose(p_from int, p_count int) returns void language sql as $$
	truncate lot;
	insert into lot
	select row(t.id, (extract(epoch from t.created_at) * 1000000)::bigint, fpm.lock_key(t.supplier_id, t.feature_type), 'settled', 100, 0, 50, false, 1, null, 'answer', 1)::fpm.settle_call
	from public.ai_usage_tracking t
	where t.request_id in (select 'r' || i from generate_series(p_from, p_from + p_count - 1) i) and t.state in ('reserved', 'expired');
$$;
create function pg_temp.settle_lot() returns text language sql as $$
	select string_agg(distinct concat_ws(' ', r.done, r.state), ', ') from fpm.settle_calls(array(select l.call from lot l)) r
$$;

-- The tables of which a look has read more than its share since the last look, and how many rows.
create temp table had (name text primary key, rows bigint);
create function pg_temp.read(p_most int) returns text language plpgsql as $$
declare
	v_much text := (
		select string_agg(x.relname || ' ' || x.seq_tup_read + coalesce(x.idx_tup_fetch, 0) - coalesce(h.rows, 0), ', ' order by x.relname)
		from pg_stat_xact_user_tables x left join had h on h.name = x.relname
		where x.schemaname in ('public', 'fpm') and x.seq_tup_read + coalesce(x.idx_tup_fetch, 0) - coalesce(h.rows, 0) > p_most);
begin
	insert into had
	select x.relname, x.seq_tup_read + coalesce(x.idx_tup_fetch, 0) from pg_stat_xact_user_tables x where x.schemaname in ('public', 'fpm')
	on conflict (name) do update set rows = excluded.rows;
	return coalesce(v_much, 'little');
end
$$;

truncate public.user_profiles, public.ai_response_cache cascade;
analyze public.user_profiles, public.ai_response_cache, fpm.api_keys, fpm.counters, fpm.rate_buckets, fpm.usage_daily, fpm.ai_usage_open, fpm.ai_usage_ended;
-- Everything is planned here: a call, a hit, a call that another waits for, one that is settled late. Nobody is left.
insert into public.user_profiles (id, subscription_tier) values ('00000000-0000-4000-8000-100000000000', 'enterprise');
insert into fpm.api_keys (supplier_id, key_hash) values ('00000000-0000-4000-8000-100000000000', pg_temp.key_of(0));
select is(pg_temp.set_of(0, 1, 'a'), 'admitted 1', 'a call is planned');
select pg_temp.choose(0, 1);
select is(pg_temp.settle_lot(), 't settled', 'and its settlement');
select is(pg_temp.set_of(0, 1, 'a'), 'cached 1', 'and a hit');
select pg_temp.hope(0, 1, 'c');
select is(pg_temp.ready_lot(), 1::bigint, 'and a call that is ready');
update public.ai_response_cache set expires_at = now();
select is(pg_temp.set_of(0, 1, 'a'), 'admitted 1', 'and one whose answer was kept too long');
select pg_temp.choose(0, 1);
select is(pg_temp.settle_lot(), 't settled', 'and takes its place');
select is(pg_temp.set_of(0, 1, 'b', p_worker => 'dead'), 'admitted 1', 'and a call');
select is((select expired from fpm.sweep('dead')), 1::bigint, 'that expires');
select pg_temp.choose(0, 1);
select is(pg_temp.settle_lot(), 'f expired', 'and is settled late');
delete from public.user_profiles;

insert into public.user_profiles (id, subscription_tier) select ('00000000-0000-4000-8000-1' || lpad(i::text, 11, '0'))::uuid, 'enterprise' from generate_series(1, 300) i;
insert into fpm.api_keys (supplier_id, key_hash) select ('00000000-0000-4000-8000-1' || lpad(i::text, 11, '0'))::uuid, pg_temp.key_of(i) from generate_series(1, 300) i;
select pg_temp.set_of(1, 300, 'a');
select pg_temp.choose(1, 300);
select pg_temp.settle_lot();
select pg_temp.set_of(1, 300, 'b', p_worker => 'dead');
select count(*) from fpm.sweep('dead');
select pg_temp.set_of(1, 300, 'c');

select pg_temp.hope(5, 4, 'e');
select pg_temp.read(0) is not null as so_far;
select is(pg_temp.ready_lot(), 4::bigint, 'a few that are ready');
select is(pg_temp.read(100), 'little', 'read little');
select is(pg_temp.set_of(5, 4, 'd'), 'admitted 4', 'a few calls, with a rate and an answer to keep');
select is(pg_temp.read(100), 'little', 'read little');
select is(pg_temp.set_of(5, 4, 'c'), 'in_flight 4', 'a few whose answers are being made');
select is(pg_temp.read(100), 'little', 'read little');
select is(pg_temp.set_of(5, 4, 'a'), 'cached 4', 'a few hits');
select is(pg_temp.read(100), 'little', 'read little');
update public.ai_response_cache set expires_at = now() where supplier_id in (select k.supplier_id from fpm.api_keys k, generate_series(5, 8) i where k.key_hash = pg_temp.key_of(i));
select is(pg_temp.set_of(5, 4, 'a'), 'admitted 4', 'a few whose answers were kept too long');
select pg_temp.choose(5, 4);
select pg_temp.read(0) is not null as so_far;
select is(pg_temp.settle_lot(), 'f expired, t settled', 'a few that are settled, some late');
select is(pg_temp.read(100), 'little', 'read little');

select * from finish();
rollback;
