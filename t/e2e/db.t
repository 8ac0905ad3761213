# The database port against a real server: t/e2e/db_live does the asserting, this gives it the server.
use strict;
use warnings;

use Cluster;

my $build = $ENV{PROMPT_FPM_BUILD} // '.';
my $pg = Cluster->new->start;

$pg->psql(<<'SQL');
create table live_notes (n int, xid text);
create function live_note(n int) returns int language sql as
	'select pg_advisory_xact_lock(1); insert into live_notes values (n, pg_current_xact_id()::text); select n';
create function live_set(calls jsonb) returns table (n int, item int, xid text) language plpgsql as $$
begin
	perform pg_advisory_xact_lock(1);
	insert into live_notes select i::int, pg_current_xact_id()::text from jsonb_array_elements_text(calls) i;
	return query select o::int, i::int, pg_current_xact_id()::text from jsonb_array_elements_text(calls) with ordinality e (i, o) order by o desc;
end $$;
create function live_reset() returns int language sql as 'delete from live_notes; select 0';
SQL
my $info = $pg->conninfo;
my %info = $info =~ /(\w+)=(\S+)/g;
$ENV{PGHOST} = $info{host};
$ENV{PGPORT} = $info{port} if defined $info{port};
$ENV{PGUSER} = $info{user} if defined $info{user};
$ENV{PGDATABASE} = $info{dbname};

my $status = system "$build/t/e2e/db_live";
exit($status >> 8 || ($status ? 1 : 0));
