# A thousand requests at once for the last fifty places of a plan, and for its last cents: over two daemons of four workers each on one database, directly and
# through PgBouncer in transaction mode. All that get through are held at the upstream until everybody else has been told no, so that all fifty are in flight at once.
use strict;
use warnings;

use Test::More;
use Harness;
use Harness::Crowd;
use Harness::Process qw(await);
use Wedding qw(email directive);

my $requests = 1000;
my $feature = 'email_template';
my $count = 0;

# A body of the same length each time, but for so many bytes more.
sub body {
	my ($more) = @_;
	my $body = email(directive('gate=0 prompt=50 tokens=100') . 'x' x ($more // 0));
	$body->{context}{occasion} = sprintf 'booking %08d', ++$count;
	return $body;
}

# Numbers as the database counts, in no binary fractions.
sub exactly {
	my ($h, $expression, @values) = @_;
	return $h->value("select trim_scale(v.x) from (select $expression) v (x)", @values);
}

sub counter {
	my ($h, $supplier) = @_;
	my ($counter) = $h->rows('select month_count, day_count, trim_scale(month_cost) as spent, trim_scale(reserved) as held from fpm.counters
		where supplier_id = ? and feature_type = ?', $supplier->{id}, $feature);
	return $counter;
}

# The bodies as requests of one supplier at once, half of them to each daemon; those let through are let go on when each has been refused or is in flight. `expected`:
# how many get through, where that is known. Returns what was spent and held meanwhile, and the numbers of those refused.
sub rush {
	my ($daemons, $supplier, $reason, $expected, @bodies) = @_;
	my $h = $daemons->[0];
	my $seen = $h->standin->counts->{requests};
	my @clients = map { $_->client } @$daemons;
	my @list = map { my $to = $clients[$_ % @clients]; {to => $to, text => $to->compose_post($Wedding::EMAIL, $bodies[$_], key => $supplier->{key})} } 0 .. $#bodies;
	my $crowd = Harness::Crowd->start(processes => 4, callers => @bodies / 4, requests => \@list, timeout => 60,
		tell => sub { my ($request, $answer) = @_; return ($answer->status, ($answer->json // {})->{code} // '', $answer->ended) });
	ok $crowd->await(sub { my $told = @_; $told >= @bodies / 2 && $told + $h->standin->counts->{gated} == @bodies }, 40), 'each is refused, or in flight';
	my $in_flight = $h->standin->counts->{gated};
	my $held = counter($h, $supplier);
	is $held->{held}, exactly($h, "sum(reserved_cents) from ai_usage_tracking where supplier_id = ? and state = 'reserved'", $supplier->{id}),
		'the counter holds what the open rows hold';
	$h->standin->release;
	my @lines = $crowd->finish;
	my %by;
	$by{"$_->[1] $_->[2] $_->[3]"}++ for @lines;
	is $in_flight, $expected // $in_flight, "exactly $in_flight are in flight";
	is_deeply \%by, {'200  complete' => $in_flight, "429 $reason complete" => @bodies - $in_flight}, 'they get through, and nobody else';
	agree($h, $supplier, 3, $in_flight, @bodies - $in_flight, $seen, $reason);
	return ($held, map { $_->[0] } grep { $_->[1] == 429 } @lines);
}

sub agree {
	my ($h, $supplier, $before, $through, $refused, $seen, $reason) = @_;
	is $h->standin->counts->{requests} - $seen, $through, 'the upstream saw so many';
	my @rows = $h->ended_rows($before + $through, supplier_id => $supplier->{id});
	is scalar(grep { $_->{state} eq 'settled' } @rows), $before + $through, 'the ledger has a settled row for each';
	is scalar(@rows), $before + $through, 'and no other';
	my $cost = exactly($h, 'sum(cost_cents) from ai_usage_tracking where supplier_id = ?', $supplier->{id});
	is_deeply counter($h, $supplier), {month_count => $before + $through, day_count => $before + $through, spent => $cost, held => 0}, 'the counters agree';
	ok await(sub { ($h->value('select sum(count) from fpm.refusals where supplier_id = ? and reason = ?', $supplier->{id}, $reason) // 0) == $refused }, 10),
		'all the others are counted as refused';
}

# Each write of a counter leaves here the most that was ever spent and held.
sub watch {
	my ($h) = @_;
	$h->dbh->do($_) for split /;;/, q{
		create table watched (supplier_id uuid primary key, most numeric not null);;
		create function watch() returns trigger language plpgsql security definer set search_path = public as $$
		begin
			insert into watched as w values (new.supplier_id, new.month_cost + new.reserved)
			on conflict (supplier_id) do update set most = greatest(w.most, excluded.most);
			return null;
		end $$;;
		create trigger watch after insert or update on fpm.counters for each row execute function watch()};
}

# A supplier that has made three calls, and what one of them held.
sub supplier {
	my ($h) = @_;
	my $supplier = $h->supplier('enterprise');
	my @crowd = map { $h->begin($Wedding::EMAIL, body(), key => $supplier->{key}) } 1 .. 3;
	$h->standin->wait(gated => 3, 10);
	$h->standin->release;
	is $_->slurp->status, 200, 'a call before' for @crowd;
	my ($row) = $h->ended_rows(3, supplier_id => $supplier->{id});
	return ($supplier, $row->{reserved_cents}, $row->{cost_cents});
}

sub limit {
	my ($h, $supplier, $monthly, $cents) = @_;
	my $tier = 'tier of ' . $supplier->{id};
	$h->dbh->do('insert into ai_usage_limits (tier_name, feature_type, monthly_limit, daily_limit, cost_limit_cents) values (?, ?, ?, -1, ?)', undef, $tier, $feature,
		$monthly, $cents);
	$h->ctl_ok('supplier', 'tier', $supplier->{id}, $tier);
}

sub last_places {
	my ($daemons) = @_;
	my ($supplier) = supplier($daemons->[0]);
	limit($daemons->[0], $supplier, 53, -1);
	rush($daemons, $supplier, 'monthly_limit', 50, map { body() } 1 .. $requests);
}

sub never_above {
	my ($h, $supplier, $limit) = @_;
	ok exactly($h, '?::numeric - most from watched where supplier_id = ?', $limit, $supplier->{id}) >= 0, 'never was more spent and held than the limit';
}

# Reservations of one size, and a limit that is just enough for fifty of them, or lacks a trillionth of a cent.
sub last_cent {
	my ($daemons, $lacking, $expected) = @_;
	my $h = $daemons->[0];
	my ($supplier, $reserve, $cost) = supplier($h);
	my $limit = exactly($h, '3 * ?::numeric + 50 * ?::numeric - ?::numeric', $cost, $reserve, $lacking);
	limit($h, $supplier, -1, $limit);
	my ($held) = rush($daemons, $supplier, 'cost_limit', $expected, map { body() } 1 .. $requests);
	never_above($h, $supplier, $limit);
	is exactly($h, '?::numeric + ?::numeric', @{$held}{qw(spent held)}), $limit, 'and it was reached, to the last fraction' if !$lacking;
}

# Reservations of many sizes: as many as fit, and none that does not.
sub last_cents {
	my ($daemons) = @_;
	my $h = $daemons->[0];
	my ($supplier, $reserve, $cost) = supplier($h);
	my $limit = exactly($h, '3 * ?::numeric + 50.5 * ?::numeric', $cost, $reserve);
	my @more = map { int rand 4000 } 1 .. $requests;
	limit($h, $supplier, -1, $limit);
	my ($held, @refused) = rush($daemons, $supplier, 'cost_limit', undef, map { body($_) } @more);
	never_above($h, $supplier, $limit);
	my ($smallest) = sort { $a <=> $b } @more[@refused];
	my $price = $h->value(q{select 100 * cost_per_input_token from ai_models where model_name = 'gpt-4o-mini'});
	ok exactly($h, '?::numeric + ?::numeric + ?::numeric + ? * ?::numeric - ?::numeric', @{$held}{qw(spent held)}, $reserve, $smallest, $price, $limit) > 0,
		'there was no room for the smallest of those refused';
}

my %settings = ('pm.max_children' => 4, 'pm.threads' => 160);
my $h = Harness->new(web => 'lighttpd', settings => \%settings);
my @direct = ($h, Harness->new(web => 'lighttpd', beside => $h, settings => \%settings));
my @pooled;
if ($h->cluster->pool) {
	@pooled = map { Harness->new(web => 'lighttpd', beside => $h, settings => {%settings, database => $h->cluster->pool_conninfo('www')}) } 1 .. 2;
}
watch($h);

my $first = $ENV{PLACES_SEED} // 1;
for my $seed ($first .. $first + 2) {
	for (['directly', \@direct], ['through PgBouncer', \@pooled]) {
		my ($way, $daemons) = @$_;
		SKIP: {
			skip "$way: it is not installed", 3 unless @$daemons;
			srand $seed;
			subtest "$way, seed $seed: the last fifty places" => sub { last_places($daemons) };
			subtest "$way, seed $seed: the last cent" => sub { last_cent($daemons, 0, 50) };
			subtest "$way, seed $seed: calls of many sizes for the last cents" => sub { last_cents($daemons) };
			subtest "$way: a trillionth of a cent less" => sub { last_cent($daemons, '0.000000000001', 49) } if $seed == $first;
		}
	}
}
my ($status, $out, $err) = $h->ctl('audit');
is $status, 0, 'promptctl audit finds ledger and counters equal' or diag "$out$err";
my %workers = map { $_->{worker} => 1 } $h->rows('select distinct worker from ai_usage_tracking');
cmp_ok scalar(keys %workers), '>=', 6, 'many workers had a part in it';

done_testing;
