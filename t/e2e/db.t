# The database port against a real server: t/e2e/db_live does the asserting, this gives it the server.
use strict;
use warnings;

use Cluster;

my $build = $ENV{PROMPT_FPM_BUILD} // '.';
my $pg = Cluster->new->start;

$pg->psql(<<'SQL');
create table live_notes (n int, xid text, lock int, rank int);
create type live_item as (item int, lock int, rank int);
create function live_note(n int) returns int language sql as
	'select pg_advisory_xact_lock(1); insert into live_notes (n, xid) values (n, pg_current_xact_id()::text); select n';
create function live_set(calls live_item[]) returns table (n int, item int, xid text) language plpgsql as $$
begin
	perform pg_advisory_xact_lock(1);
	insert into live_notes select i.item, pg_current_xact_id()::text, i.lock, i.rank from unnest(calls) i;
	return query select o::int, i, pg_current_xact_id()::text from unnest(calls) with ordinality e (i, l, r, o) order by o desc;
end $$;
create function live_pooled(calls live_item[]) returns table (n int, item int) language sql as
	'select o::int, i from unnest(calls) with ordinality e (i, l, r, o)';
create function live_replace_echo() returns void language plpgsql as $$
begin
	drop type if exists live_every cascade;
	create type live_every as (id uuid, said text, nothing text, four char(4), small int, large bigint, yes boolean, rank int);
	create function live_echo(calls live_every[]) returns setof live_every language sql as 'select * from unnest(calls)';
end $$;
select live_replace_echo();
create function live_part() returns trigger language plpgsql as $$
begin
	perform pg_advisory_xact_lock(2);
	perform pg_terminate_backend(pg_backend_pid());
	return null;
end $$;
create constraint trigger live_parts after insert on live_notes deferrable initially deferred for each row when (new.n = 99) execute function live_part();
create function live_fail() returns trigger language plpgsql as $$ begin raise 'not to be committed'; end $$;
create constraint trigger live_fails after insert on live_notes deferrable initially deferred for each row when (new.n = 98) execute function live_fail();
create function live_refuse(code text) returns void language plpgsql as $$ begin raise 'as it was asked' using errcode = code; end $$;
create schema fpm;
create table live_refusals (supplier text, feature text, reason text, count bigint);
create function fpm.count_refusals(p jsonb) returns int language sql as
	'insert into live_refusals select e.* from jsonb_to_recordset(p) e (supplier text, feature text, reason text, count bigint); select 0';
create function live_reset() returns int language sql as 'delete from live_notes; select 0';
SQL
my $info = $pg->conninfo;
my %info = $info =~ /(\w+)=(\S+)/g;
$ENV{PGHOST} = $info{host};
$ENV{PGPORT} = $info{port} if defined $info{port};
$ENV{PGUSER} = $info{user} if defined $info{user};
$ENV{PGDATABASE} = $info{dbname};

# Directly, and where there is a PgBouncer through it, whose connections are handed out transaction by transaction.
my @runs = (['direct', $ENV{PGPORT}], ['pooled', $ENV{PGPORT}]);
if ($pg->pool(3)) { push @runs, ['pooled', 6432] }
else              { print "# no PgBouncer here: not tried through one\n" }

my ($n, $failed) = (0, 0);
for (@runs) {
	my ($case, $port) = @$_;
	local $ENV{CK_RUN_CASE} = $case;
	local $ENV{PGPORT} = $port;
	open my $out, '-|', "$build/t/e2e/db_live" or die "db_live: $!\n";
	while (<$out>) {
		next unless /^(not )?ok \d+ - (.*)/;
		$n++;
		$failed++ if $1;
		print $1 // '', "ok $n - port $port: $2\n";
	}
	close $out or $failed++;
}
$pg->stop_pool;
print "1..$n\n";
exit($failed ? 1 : 0);
