# The migrations where they have to run: by an owner who is no superuser, beside a Supabase that has its own users, roles and policies, twice, and
# twice at once.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../e2e/lib";
use Test::More;
use Cluster;

my $pg = Cluster->new->start;
my $sample = <<'SQL';
select fpm.supplier_add('00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-0000000000f1', 'starter');
select fpm.key_create('00000000-0000-4000-8000-00000000000a', repeat('a', 64), 'pfk_a', 'a');
set role fpm_worker;
select a.verdict, s.done, s.cost_cents from fpm.admit(repeat('a', 64), 'r', 'email_template', '/e', 'openai', 'gpt-4o-mini', 5, 3600, 0, 100, 50, 1000, 'h', 'shared',
	3600, 1000, 0, 'w', false) a, fpm.settle(a.ticket, 'settled', 100, 0, 50, false, 1, null, 'kept') s;
reset role;
SQL
my $sampled = qr/admitted\|t\|0\.0045$/m;

sub database {
	my ($name, $owner) = @_;
	$pg->psql("create database $name owner $owner", 'postgres');
	$pg->{database} = $name;
}

sub schema_of {
	return $pg->psql(<<'SQL');
select 'role', r.rolname, r.rolcanlogin, r.rolsuper from pg_roles r where r.rolname ~ '^fpm_|^authenticated$'
union all select 'table', c.oid::regclass::text, exists (select from aclexplode(c.relacl) a where a.grantee = 0), c.relrowsecurity from pg_class c
	where c.relnamespace in ('public'::regnamespace, 'fpm'::regnamespace) and c.relkind in ('r', 'p')
union all select 'function', p.oid::regprocedure::text, p.prosecdef, exists (select from aclexplode(p.proacl) a where a.grantee = 0) from pg_proc p where p.pronamespace = 'fpm'::regnamespace
union all select 'policy', p.polname, true, true from pg_policy p
order by 1, 2;
SQL
}

subtest 'an owner who is no superuser' => sub {
	$pg->psql('create role host login createrole', 'postgres');
	database('plain', 'host');
	ok(eval { $pg->migrate(user => 'host') }, 'it migrates') or diag($@);
	my $first = schema_of();
	my ($rows) = $pg->psql('select count(*) from fpm.migrations');
	ok(eval { $pg->migrate(user => 'host') }, 'and again') or diag($@);
	is(schema_of(), $first, 'which changes nothing');
	is($pg->psql('select count(*) from fpm.migrations'), $rows, 'and records nothing');
	like($pg->psql($sample), $sampled, 'it works');
	is($pg->psql(q{select pg_get_userbyid(relowner) from pg_class where oid = 'public.user_profiles'::regclass}), 'fpm_owner', 'the suppliers are ours');
	is($pg->psql('select count(*) from fpm.audit()'), '0', 'and all is equal');
};

subtest 'another database of the same server' => sub {
	database('second', 'host');
	ok(eval { $pg->migrate(user => 'host') }, 'it migrates, roles and all') or diag($@);
	like($pg->psql($sample), $sampled, 'and works');
};

subtest 'by a superuser' => sub {
	database('super', 'postgres');
	ok(eval { $pg->migrate }, 'it migrates') or diag($@);
	like($pg->psql($sample), $sampled, 'and works');
};

subtest 'two at once' => sub {
	database('twice', 'host');
	my @pids = map {
		my $pid = fork // die "fork: $!";
		if (!$pid) {
			my $ok = eval { $pg->migrate(user => 'host') };
			print "# $@" if $@;
			require POSIX;
			POSIX::_exit($ok ? 0 : 1);
		}
		$pid;
	} 1 .. 2;
	my @ended = map { waitpid $_, 0; $? } @pids;
	is("@ended", '0 0', 'one does it, the other finds it done');
	like($pg->psql($sample), $sampled, 'and it works');
};

# As Supabase has it: tables made in public by `postgres`, who is no superuser there, granted to everybody by default; users in auth.users; an enum
# for the tier.
subtest 'beside Supabase' => sub {
	$pg->psql(<<'SQL', 'postgres');
create role supa login createrole;
create role anon nologin;
create role service_role nologin bypassrls;
grant anon, authenticated, service_role to supa;
SQL
	database('supabase', 'supa');
	$pg->psql(<<'SQL');
create schema auth;
create table auth.users (id uuid primary key);
create function auth.uid() returns uuid language sql stable as
	$$select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid$$;
grant usage on schema auth to supa, authenticated;
set session authorization supa;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
create type public.tier as enum ('starter', 'professional', 'scale', 'enterprise');
create table public.user_profiles (id uuid primary key, organization_id uuid, subscription_tier public.tier, full_name text);
alter table public.user_profiles enable row level security;
create policy own_profile on public.user_profiles for select to authenticated using (id = auth.uid());
insert into public.user_profiles values ('00000000-0000-4000-8000-00000000000a', null, 'professional', 'Ann'),
	('00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-0000000000f1', 'starter', 'Ben'),
	('00000000-0000-4000-8000-00000000000c', '00000000-0000-4000-8000-0000000000f2', 'starter', 'Zoe');
SQL
	ok(eval { $pg->migrate(user => 'supa') }, 'it migrates') or diag($@);
	ok(eval { $pg->migrate(user => 'supa') }, 'twice') or diag($@);
	is($pg->psql(q{select pg_get_userbyid(relowner) from pg_class where oid = 'public.user_profiles'::regclass}), 'supa', 'the suppliers stay theirs');
	like($pg->psql($sample), $sampled, 'it works, past the policies of their table');
	is($pg->psql(q{select subscription_tier || ' ' || full_name from public.user_profiles where id = '00000000-0000-4000-8000-00000000000a'}), 'starter Ann', 'and sets a tier');
	my $seen = sub {
		my ($who) = @_;
		return $pg->psql(<<"SQL");
begin;
set local role authenticated;
set local request.jwt.claims = '{"sub": "00000000-0000-4000-8000-00000000000$who", "role": "authenticated"}';
select (select count(*) from public.ai_usage_tracking), (select count(*) from public.ai_response_cache), (select count(*) from public.user_profiles);
SQL
	};
	is($seen->('a'), '1|1|1', 'a supplier sees its own usage');
	is($seen->('b') . ' ' . $seen->('c'), '1|1|1 0|1|1', 'its organisation sees it, a stranger does not');
	is($pg->psql(<<'SQL'), '', 'the roles that are granted everything by default have nothing of ours');
select c.oid::regclass, r.rolname, p.privilege
from pg_class c, pg_roles r, unnest(array['select', 'insert', 'update', 'delete', 'truncate']) p (privilege)
where c.relkind in ('r', 'p') and (c.relnamespace = 'fpm'::regnamespace or c.oid::regclass::text ~ '^ai_') and r.rolname in ('anon', 'service_role', 'authenticated')
	and has_table_privilege(r.oid, c.oid, p.privilege) and not (r.rolname = 'authenticated' and p.privilege = 'select' and c.relname in ('ai_usage_tracking', 'ai_response_cache'));
SQL
	$pg->psql(q{update public.ai_response_cache set scope = 'supplier', supplier_id = '00000000-0000-4000-8000-00000000000a'});
	is($pg->psql('set session authorization supa; delete from public.user_profiles; reset session authorization;
		select (select count(*) from public.ai_usage_tracking) + (select count(*) from public.ai_response_cache)'), '0', 'a user that is deleted takes its rows and answers along');
};

done_testing();
