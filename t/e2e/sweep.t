# The sweep: a live request is never taken for a dead one, however slow; one machine sweeps at a time; the cache keeps to its size.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use FastCGI;
use Harness;
use Harness::Process qw(await);
use Wedding qw(email directive);

my $sse = {HTTP_ACCEPT => 'text/event-stream'};

subtest 'a request that is slower than its deadline' => sub {
	my $h = Harness->new(web => undef, settings => {
		request_terminate_timeout => '1s', send_timeout => '4s', 'janitor.interval' => '50ms', 'janitor.grace' => 0});
	my $s = $h->supplier('enterprise');
	# Nobody reads: the worker cannot write, and so cannot look at the clock either.
	my $body = JSON::PP->new->utf8->encode(email(directive('pieces=5000 delay_ms=0 nostamp huge=200000'), stream => JSON::PP::true));
	my $request = FastCGI->start($h->socket, uri => $Wedding::EMAIL, method => 'POST', body => $body,
		params => {HTTP_AUTHORIZATION => "Bearer $s->{key}", CONTENT_TYPE => 'application/json', %$sse});
	ok await(sub { $h->ledger(state => 'reserved') }, 10), 'it is at work';
	my ($late) = $h->rows('select created_at + interval \'1 second\' as deadline, expires_at as expires from ai_usage_tracking t');
	ok $h->value('select ?::timestamptz > ?::timestamptz + interval \'4 seconds\'', $late->{expires}, $late->{deadline}),
		'its reservation lasts as long as the web server may hold it up';
	my ($row) = $h->ended_rows(1, supplier_id => $s->{id});
	isnt $row->{state}, 'expired', 'the sweep, at work all the time, leaves it alone' or diag $h->log_text;
	is $row->{state}, 'aborted', 'and it ends by itself';
	ok $h->value('select ?::timestamptz > ?::timestamptz', $row->{settled_at}, $late->{deadline}), 'after its deadline';
	is_deeply [map { $_->{state} } $h->ledger], ['aborted'], 'without a correction';
	is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';
};

subtest 'one machine at a time' => sub {
	my $h = Harness->new(start => 0, web => undef, standin => 0);
	$h->start_database;
	my ($ann, $ben) = map { $h->supplier('enterprise') } 1, 2; # whose calls take different locks
	my $admit = sub {
		my ($who, $worker) = @_;
		$h->value("select ticket from fpm.admit(encode(sha256(?), 'hex'), 'r', 'email_template', 'e', 'openai', 'gpt-4o-mini', 0, 0, 0, 10, 10, 10, null, 'off', 0,"
			. ' 0, 0, ?, false)', $who->{key}, $worker);
	};
	$h->dbh->do("set statement_timeout = '20s'");
	$admit->($ann, 'w1') for 1 .. 3;
	my $other = $h->cluster->dbh;
	$other->begin_work;
	is $other->selectrow_array('select expired from fpm.sweep(null)'), 3, 'one sweeps, and has not ended';
	$admit->($ben, 'w1');
	is_deeply [$h->dbh->selectrow_array('select * from fpm.sweep(null)')], [0, 0, 0, 0], 'another finds it at work, waits for nothing and does nothing';
	$other->rollback;
	is $h->value('select expired from fpm.sweep(null)'), 4, 'once it is gone, all is there to be swept';
	$admit->($ben, 'w3');
	$other->begin_work;
	$other->do("select pg_advisory_xact_lock(hashtextextended('fpm:sweep', 0))");
	is $h->value("select expired from fpm.sweep('w3')"), 1, 'after a dead worker is swept beside it';
	$other->rollback;
	$other->disconnect;
};

subtest 'the cache keeps to its size' => sub {
	my $h = Harness->new(start => 0, web => 'lighttpd', settings => {cache_max => 4000, 'janitor.interval' => '50ms'});
	$h->start_database;
	$h->dbh->do("insert into ai_response_cache (prompt_hash, feature_type, model_used, response_content, content_bytes, expires_at)
		select encode(sha256(i::text::bytea), 'hex'), 'f', 'm', repeat('x', 1000), 1000, now() + interval '1 hour' from generate_series(1, 1700) i");
	my $size = sub { return $h->value('select coalesce(sum(octet_length(response_content)), 0) from ai_response_cache') };
	$h->{settings}{'janitor.interval'} = '1h';
	$h->start_standin;
	$h->start_daemon;
	ok await(sub { $size->() == 4000 }, 20), 'one sweep goes on until it fits, however much it is';
	$h->stop_daemon;
	$h->{settings}{'janitor.interval'} = '50ms';
	$h->start_daemon;
	$h->{web} = $h->start_web('lighttpd');
	$h->await_ping;
	my $s = $h->supplier('enterprise');
	my ($first, @more) = map { email(directive('nostamp text=' . 'y' x 900)) } 1 .. 8;
	my %key = (key => $s->{key});
	$h->post($Wedding::EMAIL, $_, %key) for $first, @more;
	ok await(sub { $size->() <= 4000 }, 10), 'what is added takes the place of what would expire soonest';
	cmp_ok $size->(), '>=', 3600, 'and of no more than it needs';
	ok $h->post($Wedding::EMAIL, $more[-1], %key)->json->{usage}{fromCache}, 'the last is a hit';
	ok !$h->post($Wedding::EMAIL, $first, %key)->json->{usage}{fromCache}, 'the first is none any more';
};

done_testing;
