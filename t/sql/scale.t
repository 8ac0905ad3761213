# Admission, settlement and reports do not get slower as the ledger grows: the same calls, in turn, against two databases of one server. Both have the same suppliers,
# counters and daily sums, but one has no row in its ledger, the other all those that the sums came from: SCALE_ROWS of them, over the months.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../e2e/lib";
use Test::More;
use Time::HiRes qw(time);
use Cluster;
use Harness::Size qw(size);

my $rows = size(SCALE_ROWS => 200_000, 10_000_000);
my $suppliers = 200;
my $days = $rows < 1_000_000 ? 25 : 125;
my $each = int($rows / $suppliers / $days) || 1; # calls of a supplier in a day
my $pg = Cluster->new(settings => { max_wal_size => '4GB', checkpoint_timeout => '1h', autovacuum => 'off' })->start;
my %dbh;

# What so many settled calls of each supplier and day would have left: with the calls, or, as if all had been archived, without.
sub fill {
	my ($name, $with_calls) = @_;
	my $began = time;
	$pg->psql("create database $name", 'postgres');
	local $pg->{database} = $name;
	$pg->migrate;
	$pg->psql(<<"SQL");
insert into public.user_profiles (id, organization_id, subscription_tier)
select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, ('00000000-0000-4000-8000-f' || lpad((i % 20)::text, 11, '0'))::uuid, 'enterprise'
from generate_series(1, $suppliers) i;
insert into fpm.api_keys (supplier_id, key_hash)
select u.id, encode(sha256(convert_to(u.id::text, 'UTF8')), 'hex') from public.user_profiles u;

create view days as select ((now() at time zone 'UTC')::date - d) as day from generate_series(0, $days - 1) d;
insert into fpm.usage_daily (supplier_id, organization_id, day, feature_type, model_used, requests, prompt_tokens, completion_tokens, tokens, cost_cents)
select u.id, u.organization_id, d.day, 'email_template', 'gpt-4o-mini', $each, 100 * $each, 50 * $each, 150 * $each, 0.0045 * $each
from public.user_profiles u, days d;
insert into fpm.counters (supplier_id, feature_type, day, day_count, month, month_count, month_cost)
select u.supplier_id, u.feature_type, max(u.day), $each, date_trunc('month', max(u.day))::date, sum(u.requests), sum(u.cost_cents)
from fpm.usage_daily u where u.day >= date_trunc('month', (now() at time zone 'UTC'))::date group by 1, 2;
SQL
	$pg->psql(<<"SQL") if $with_calls;
do \$\$
declare
	v_month date;
begin
	for v_month in select distinct date_trunc('month', d.day)::date from days d where d.day < date_trunc('month', (now() at time zone 'UTC'))::date loop
		execute format('create table fpm.ai_usage_tracking_%s partition of fpm.ai_usage_ended for values from (%L) to (%L) with (fillfactor = 85)',
			to_char(v_month, 'YYYY_MM'), v_month || ' 00:00+00', (v_month + interval '1 month')::date || ' 00:00+00');
		execute format('alter table fpm.ai_usage_tracking_%s owner to fpm_owner', to_char(v_month, 'YYYY_MM'));
	end loop;
end
\$\$;
set session_replication_role = replica; -- the suppliers are there: no look at each for each row
insert into public.ai_usage_tracking (id, created_at, supplier_id, organization_id, feature_type, model_used, prompt_tokens, completion_tokens, tokens_used,
	cost_cents, reserved_cents, price_id, worker, state, success, settled_at)
select fpm.new_row_id(v.at), v.at, v.id, v.organization_id, 'email_template', 'gpt-4o-mini', 100, 50, 150, 0.0045, 0.0075, v.price_id, 'w', 'settled', true, v.at
from (
	select u.id, u.organization_id, d.day::timestamp at time zone 'UTC' + n * interval '50 milliseconds' as at,
		(select m.price_id from public.ai_models m where m.model_name = 'gpt-4o-mini') as price_id
	from days d, generate_series(1, $each) n, public.user_profiles u
	order by d.day, n) v;
SQL
	$pg->psql('vacuum analyze');
	$dbh{$name} = $pg->dbh(undef);
	my $count = $with_calls ? $suppliers * $days * $each : 0;
	is($dbh{$name}->selectrow_array('select count(*) from public.ai_usage_tracking'), $count, "$name: $count rows");
	is($dbh{$name}->selectrow_array('select count(*) from fpm.audit()'), 0, "$name: the audit finds all equal") if $with_calls;
	my $size = $dbh{$name}->selectrow_array('select pg_size_pretty(pg_database_size(current_database()))');
	my $months = $dbh{$name}->selectrow_array('select count(distinct tableoid) from public.ai_usage_tracking');
	diag(sprintf '%s: %d rows in %d months, %s, filled in %.0f s', $name, $count, $months, $size, time - $began);
}

# The best of many tries, taken in turn so that whatever else the machine does meets both alike; more of them where it met them not.
sub best {
	my ($sql, $tries) = @_;
	my %best;
	for my $try (1 .. 4 * $tries) {
		for my $name (sort keys %dbh) {
			my $start = time;
			$dbh{$name}->selectall_arrayref($sql);
			my $took = time - $start;
			$best{$name} = $took if !defined $best{$name} || $took < $best{$name};
		}
		last if $try >= $tries && $best{many} <= 1.2 * $best{none};
	}
	return \%best;
}

# A server process may sit on a slower core than its neighbour for as long as it lives: where the figures differ, they must do so for other processes too.
sub compare {
	my ($sql, $tries) = @_;
	my $best;
	for my $round (1 .. 6) {
		$best = best($sql, $tries);
		last if $best->{many} <= 1.2 * $best->{none};
		$_->disconnect for values %dbh;
		for my $name (keys %dbh) {
			local $pg->{database} = $name;
			$dbh{$name} = $pg->dbh(undef);
		}
	}
	return $best;
}

fill('none', 0);
fill('many', 1);

my $id = '00000000-0000-4000-8000-000000000007';
my $admit = "fpm.admit(encode(sha256('$id'), 'hex'), 'r', 'email_template', '/e', 'openai', 'gpt-4o-mini', 0, 0, 0, 1000, 250, 1000, null, 'off', 0, 60000, 0, 'w', false)";
my @looks = (
	['admission and settlement', "select s.state from $admit a, fpm.settle(a.ticket, 'settled', 100, 0, 50, false, 1, null, null) s", 400],
	['a supplier\'s own report', "select fpm.usage_report(encode(sha256('$id'), 'hex'))", 200],
	['its organisation\'s', "select fpm.usage_report(encode(sha256('$id'), 'hex'), null, null, 'organization')", 100],
	['usage of a supplier', "select * from fpm.usage('$id')", 200],
	['usage of all', 'select * from fpm.usage()', 20],
	['the invoices of a month', q{select * from fpm.invoice((now() at time zone 'UTC')::date)}, 40],
	['the list of suppliers', 'select * from fpm.supplier_list()', 40],
);
for my $look (@looks) {
	my ($name, $sql, $tries) = @$look;
	my $best = compare($sql, $tries);
	my $ratio = $best->{many} / $best->{none};
	diag(sprintf '%-26s %8.3f ms with none, %8.3f ms with %d rows: %.2f', $name, $best->{none} * 1000, $best->{many} * 1000, $suppliers * $days * $each, $ratio);
	cmp_ok($ratio, '<=', 1.2, "$name: at most 1.2 times as long");
}

$_->disconnect for values %dbh;
done_testing();
