# Rounds of sudden death under load: workers, the master, the janitor, PostgreSQL and PgBouncer, one or more of them, at random moments; some lives of the daemon reach
# the database directly, some through PgBouncer. After each round, once everything runs again
# and has been swept: no upstream call without a row, no row without an end, nothing charged twice, counters and ledger equal.
# CRASH_SEED repeats the choices of a run, CRASH_ROUNDS says how many.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Crowd;
use Harness::Process qw(await);
use Harness::Size qw(size);
use List::Util qw(shuffle);
use Time::HiRes qw(sleep);
use Wedding qw(email directive);

my $rounds = size(CRASH_ROUNDS => 10, 200);
my $seed = $ENV{CRASH_SEED} // int rand 1e6;
diag "CRASH_SEED: $seed";
srand $seed;

# All that a call may wait for is short, so that what nobody ended is swept four seconds after it began.
my $h = Harness->new(start => 0, web => 'lighttpd', standin_args => ['--record'], global => {process_control_timeout => '4s'}, settings => {
	'pm.max_children' => 3, 'pm.threads' => 24, request_terminate_timeout => '1500ms', 'upstream.idle_timeout' => '1s', send_timeout => '500ms',
	'database.connect_timeout' => '200ms', 'database.statement_timeout' => '400ms', 'janitor.interval' => '200ms', 'janitor.grace' => '200ms',
});
$h->start_database;
my $has_pool = $h->cluster->pool(6);
my $pooled;
$h->start_standin;
$h->{web} = $h->start_web('lighttpd');
my @suppliers = map { $h->supplier('enterprise') } 1 .. 4;
my @again = map { email(directive('prompt=11 tokens=22 delay_ms=30')) } 1 .. 5; # answered from the cache, now and then

# From the daemon's next life on.
sub choose_way {
	my ($through_pool) = @_;
	$pooled = $has_pool && $through_pool;
	$h->{settings}{database} = $pooled ? $h->cluster->pool_conninfo('www') : $h->cluster->conninfo('www');
}

# ---- The load: plain and streamed, some from the cache, some whose caller leaves. In a quick round the upstream takes no time, so that what dies is mostly in an
# admission or a settlement; in a slow one it is mostly in a call.

my ($quick, $refused);

sub request {
	sleep 0.01 if $refused; # as a polite caller would
	my $client = $h->client;
	my $stream = rand() < 0.6;
	my $slow = sprintf 'pieces=%d delay_ms=%d', 1 + int rand 8, int rand($stream ? 40 : 150);
	my $words = directive(sprintf '%s prompt=%d tokens=%d', $quick ? 'pieces=2' : $slow, 1 + int rand 500, int rand 500);
	my $body = rand() < 0.15 ? $again[rand @again] : email($words, $stream ? (stream => JSON::PP::true) : ());
	my %events = rand() < 0.7 ? (headers => {Accept => 'text/event-stream'}) : ();
	return {
		to => $client, text => $client->compose_post($Wedding::EMAIL, $body, key => $suppliers[rand @suppliers]{key}, %events),
		rand() < 0.15 ? (cut => 1 + int rand 1500) : (),
	};
}

sub tell {
	my ($request, $answer) = @_;
	my ($tokens) = $answer->body =~ /"tokensUsed":(\d+)/;
	$refused = $answer->status >= 500;
	return ($answer->status, $answer->ended, $answer->header('X-Request-Id') // '', $tokens // '');
}

# ---- The deaths. Each leaves everything running again.

my %killed; # workers

sub kill_workers {
	my ($share) = @_;
	my @workers = shuffle $h->workers;
	@workers = @workers[0 .. $share * $#workers];
	kill 'KILL', @workers;
	$killed{$_} = 1 for @workers;
}

# Alone, or with all of its children at the same moment. Those who merely lost it must end by themselves.
sub kill_master {
	my ($with_children) = @_;
	my $old = {process => $h->daemon, children => [$h->children]};
	kill 'KILL', $h->daemon->pid, $with_children ? @{$old->{children}} : ();
	$old->{process}->wait(5);
	@killed{@{$old->{children}}} = (1) x @{$old->{children}} if $with_children;
	return $old;
}

sub is_gone { return (eval { Harness::Web::slurp("/proc/$_[0]/stat") } // ') Z') =~ /\) Z/ }

sub restart_master {
	my ($old) = @_;
	$h->start_daemon;
	ok await(sub { !grep { !is_gone($_) } @{$old->{children}} }, 10), 'the children of the old one end as well';
}

sub crash_database {
	my ($seconds) = @_;
	$h->dbh->disconnect;
	$h->cluster->stop('immediate');
	sleep $seconds // rand 0.2;
	$h->cluster->start;
}

sub crash_pool {
	$h->cluster->stop_pool('KILL');
	sleep rand 1.5;
	$h->cluster->pool(6);
}

my %deaths = (
	$has_pool ? ('PgBouncer' => \&crash_pool) : (),
	'a worker' => sub { kill_workers(0) },
	'all workers' => sub { kill_workers(1) },
	'the master' => sub { restart_master(kill_master()) },
	'the janitor' => sub { kill 'KILL', $h->children(qr/janitor/) },
	'the database' => sub { crash_database() },
	'the database, for longer than a call may take' => sub { crash_database(4.5) },
	'a worker and the database' => sub { kill_workers(0); crash_database() },
	'the master and the database' => sub { my $old = kill_master(); crash_database(); restart_master($old) },
	'everything' => sub { my $old = kill_master(1); crash_database(); restart_master($old) },
);

# ---- What must hold afterwards.

sub quiet {
	ok await(sub { $h->standin->counts->{open} == 0 }, 10), 'no upstream call is open';
	ok await(sub { ($h->value("select count(*) from ai_usage_tracking where state = 'reserved'") // 1) == 0 }, 15), 'no row is without an end'
		or diag explain [$h->ledger(state => 'reserved')];
	is $h->value('select count(*) from fpm.ai_usage_open'), 0, 'nor a call left open';
}

# What is wrong with a row, given its upstream call (undef: there was none) and whether its caller had the whole answer; '' where nothing is. The row's tokens are
# those of its corrections too.
sub fault {
	my ($row, $call, $whole) = @_;
	my $state = $row->{corrections} ? 'corrected' : $row->{state};
	return $state =~ /^(settled|corrected)$/ || $state ne 'expired' && $row->{tokens} > 0 ? "$state without a call" : '' if !$call && $state ne 'expired';
	return 'a call for what came from the cache' if $state eq 'cached';
	return 'settled, but the call was not whole' if $state eq 'settled' && !$call->{told};
	return '' if $call && $call->{told} && $state ne 'expired' && $row->{prompt} == $call->{prompt} && $row->{completion} == $call->{completion};
	return 'its worker lived, and its figures are lost' if $state eq 'expired' && $call && $call->{told} && !$killed{$row->{worker} =~ /:(\d+):/ ? $1 : 0};
	return 'not what the provider told' if $state eq 'settled' || $state eq 'corrected' && $whole;
	# By the stated estimate: a token for every four bytes.
	my ($prompt, $text) = $call ? map { int(($_ + 3) / 4) } @$call{qw(said_bytes text_bytes)} : ($row->{prompt}, 0);
	return $row->{estimated} && $row->{completion} == 1000 && $row->{prompt} == $prompt ? '' : 'expired, but not by the estimate' if $state eq 'expired';
	return $row->{tokens} == 0 || $row->{prompt} == $prompt && $row->{completion} <= $text ? '' : 'more than was delivered';
}

sub check {
	my ($since, @lines) = @_;
	my $calls = $h->standin->calls;
	my %row;
	my @twice;
	for my $row ($h->rows(q{
		select t.request_id, t.state, t.worker, t.estimated, t.error_message, (select count(*) from ai_usage_tracking c where c.corrects = t.id) as corrections,
			sum(a.prompt_tokens) as prompt, sum(a.completion_tokens) as completion, sum(a.tokens_used) as tokens
		from ai_usage_tracking t join ai_usage_tracking a on a.id = t.id or a.corrects = t.id
		where t.state <> 'correction' and t.created_at >= ? and a.created_at >= ? group by t.id, t.request_id, t.state, t.worker, t.estimated, t.error_message}, $since, $since)) {
		push @twice, $row if $row{$row->{request_id}} || $row->{corrections} > 1;
		$row{$row->{request_id}} = $row;
	}
	is_deeply \@twice, [], 'no request has two rows, no row two corrections';
	is_deeply [grep { !$row{$_} } keys %$calls], [], 'no upstream call is without a row';
	is_deeply [grep { @{$calls->{$_}} != 1 } keys %$calls], [], 'nothing was sent twice';
	my %whole = map { $_->[2] eq 'complete' ? ($_->[3] => 1) : () } @lines;
	my @wrong = map { my $call = ($calls->{$_} // [])->[0]; my $fault = fault($row{$_}, $call, $whole{$_}); $fault ? {fault => $fault, row => $row{$_}, call => $call} : () } keys %row;
	is_deeply \@wrong, [], 'each row says what its call came to' or diag explain \@wrong;
	my @answered = grep { $_->[1] == 200 && $_->[2] eq 'complete' && length $_->[4] } @lines;
	my @unbooked = grep { my $row = $row{$_->[3]}; !$row || $row->{state} !~ /^(settled|cached|expired)$/ || $row->{state} eq 'settled' && $row->{tokens} != $_->[4] } @answered;
	is_deeply \@unbooked, [], 'what callers were told is what is booked';
	my ($status, $out, $err) = $h->ctl('audit');
	is $status, 0, 'promptctl audit finds ledger and counters equal' or diag "$out$err";
	my %states;
	$states{$_->{state}}++ for values %row;
	$states{corrected} += $_->{corrections} for values %row;
	return \%states;
}

my (@queue, %total);
for my $round (1 .. $rounds) {
	@queue = shuffle sort keys %deaths unless @queue;
	my $death = shift @queue;
	my ($before, $after) = (rand 0.6, rand 0.3);
	$quick = rand() < 0.5;
	choose_way(rand() < 0.5 || $death eq 'PgBouncer');
	$h->start_daemon;
	subtest "round $round of $rounds, seed $seed: $death" . ($pooled && $death ne 'PgBouncer' ? ', through PgBouncer' : '') . ($quick ? ', quick' : '') => sub {
		$h->standin->reset;
		my $since = $h->value('select clock_timestamp()');
		my $round_seed = int rand 1e9;
		my $begun = 0;
		my $crowd = Harness::Crowd->start(processes => 2, callers => 8, timeout => 15, tell => \&tell,
			requests => sub { srand $round_seed + $_[0] if !$begun++; request() });
		sleep $before;
		$deaths{$death}->();
		sleep $after;
		ok await(sub { $h->post($Wedding::EMAIL, email(), key => $suppliers[0]{key})->status == 200 }, 15), 'it serves again';
		my @lines = $crowd->dismiss->finish;
		quiet();
		# What waits for the database in workers that lived is booked before they end.
		is $h->stop_daemon, 0, 'the daemon ends in good order';
		my $states = check($since, @lines);
		note join ', ', scalar(@lines) . ' requests', map { "$states->{$_} $_" } sort keys %$states;
		$total{$_} += $states->{$_} for keys %$states;
		$total{requests} += @lines;
	};
	last if $round < $rounds && !Test::More->builder->is_passing; # what comes after tells no more
}
diag join ', ', map { "$total{$_} $_" } sort keys %total;
is $h->value("select count(*) from (select from ai_usage_tracking where state <> 'correction' group by request_id having count(*) > 1) v"), 0, 'no request has two rows, over all rounds';

done_testing;
