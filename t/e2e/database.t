# PostgreSQL goes away and comes back: clear answers at once, nothing spent, nothing lost, nobody restarts anything.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(await now patience);
use Wedding qw(email directive problem);

my $h = Harness->new(web => 'lighttpd');
my $s = $h->supplier('enterprise');
my $pg = $h->cluster;

is $h->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'it works';

for my $how (qw(fast immediate)) {
	subtest "stopped ($how)" => sub {
		my $requests = $h->standin->counts->{requests};
		$pg->stop($how);
		for (1 .. 5) {
			my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
			problem $r, 503, 'database_unavailable', 'the problem';
			cmp_ok $r->seconds, '<', patience(1), 'within a second';
		}
		problem $h->post($Wedding::EMAIL, email(), key => 'pfk_' . 'x' x 38), 401, 'unauthenticated', 'a wrong key is told without it';
		is $h->standin->counts->{requests}, $requests, 'nothing was spent';
		$pg->start;
		my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
		is $r->status, 200, 'the next request works' or diag $r->body;
	};
}

subtest 'it goes away in the middle of a stream' => sub {
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('pieces=8 gate=4 tokens=77 prompt=11'), stream => JSON::PP::true),
		key => $s->{key}, headers => {Accept => 'text/event-stream'});
	ok $stream->read_until(qr/(<t=\d+>.*?){4}/s, 5), 'the stream began';
	$pg->stop('immediate');
	$h->standin->release;
	$stream->slurp;
	my ($last) = reverse grep { !exists $_->{comment} } $stream->events;
	is $last->{event}, 'done', 'the caller gets it to its end';
	$pg->start;
	my ($row) = $h->ended_rows(1, request_id => $stream->header('X-Request-Id'));
	is $row->{state}, 'settled', 'the row is settled when the database is back';
	is "$row->{prompt_tokens}+$row->{completion_tokens}", '11+77', 'with what was truly used';
	ok !$row->{estimated}, 'nothing estimated';
};

subtest 'somebody holds a supplier\'s row' => sub {
	my ($held, $other) = map { $h->supplier('enterprise') } 1, 2;
	my @known = ($Wedding::EMAIL, email());
	my %key = ('Idempotency-Key' => "\"held $$\"");
	is $h->post(@known, key => $_->{key})->status, 200, 'before' for $held, $other;
	my ($requests, $rows) = ($h->standin->counts->{requests}, scalar $h->ledger);
	my $holder = $pg->dbh;
	$holder->begin_work;
	$holder->do('select from public.user_profiles u where u.id = ? for update', undef, $held->{id});
	problem $h->post($Wedding::EMAIL, email(), key => $held->{key}), 503, 'database_unavailable', 'a new question';
	problem $h->post(@known, key => $held->{key}), 503, 'database_unavailable', 'one whose answer is kept';
	my $keyed = $h->post(@known, key => $held->{key}, headers => \%key);
	problem $keyed, 503, 'database_unavailable', 'one with an idempotency key';
	cmp_ok $keyed->header('Retry-After'), '>', 0, 'may come back';
	like $h->log_text, qr/detail="the supplier's row is locked"/, 'the log says why';
	is $h->post($Wedding::EMAIL, email(), key => $other->{key})->status, 200, 'another supplier is answered meanwhile';
	is $h->standin->counts->{requests} - $requests, 1, 'nothing was spent';
	is scalar($h->ledger) - $rows, 1, 'nor written';
	$holder->rollback;
	$holder->disconnect;
	my $after = $h->post(@known, key => $held->{key}, headers => \%key);
	is $after->status, 200, 'then the supplier is answered';
	is $after->header('Idempotency-Replayed'), undef, 'under a key that was free';
};

subtest 'a call has expired, and its supplier is locked when it ends' => sub {
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('pieces=8 gate=4 tokens=77 prompt=11'), stream => JSON::PP::true), key => $s->{key});
	ok $stream->read_until(qr/(<t=\d+>.*?){4}/s, 5), 'the stream began';
	$h->dbh->do('update fpm.ai_usage_open set expires_at = clock_timestamp()');
	$h->dbh->do('select fpm.sweep(null)');
	my $other = $pg->dbh;
	$other->begin_work;
	$other->do('select from public.user_profiles u where u.id = ? for update', undef, $s->{id});
	$h->standin->release;
	$stream->slurp;
	my ($row) = $h->ledger(request_id => $stream->header('X-Request-Id'));
	is $row->{state}, 'expired', 'it stays expired';
	$other->rollback;
	$other->disconnect;
	ok await(sub { $h->ledger(state => 'correction') }, 10), 'and is corrected when its supplier is free';
	is $h->value('select sum(prompt_tokens) || \'+\' || sum(completion_tokens) from public.ai_usage_tracking where request_id = ?', $row->{request_id}), '11+77',
		'to what was truly used';
};

is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
