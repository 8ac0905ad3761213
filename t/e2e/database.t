# PostgreSQL goes away and comes back: clear answers at once, nothing spent, nothing lost, nobody restarts anything.
use strict;
use warnings;

use IO::Socket::INET;
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

# As after a switch to a server that only reads yet, with a full disk, or by a time-out that somebody set for the daemon's role.
subtest 'it refuses for a while' => sub {
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('pieces=8 gate=4 tokens=77 prompt=11'), stream => JSON::PP::true), key => $s->{key});
	ok $stream->read_until(qr/(<t=\d+>.*?){4}/s, 5), 'a stream began';
	my ($requests, $told) = ($h->standin->counts->{requests}, scalar(() = $h->log_text =~ / 25006 /g));
	$h->dbh->do('alter role www set default_transaction_read_only = on');
	$h->dbh->do(q{select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'www'});
	problem $h->post($Wedding::EMAIL, email(), key => $s->{key}), 503, 'database_unavailable', 'the problem';
	is $h->standin->counts->{requests}, $requests, 'nothing was spent';
	$h->standin->release;
	$stream->slurp;
	ok await(sub { scalar(() = $h->log_text =~ / 25006 /g) >= $told + 6 }, 10), 'booking the stream is tried again and again';
	$h->dbh->do('alter role www reset default_transaction_read_only');
	my ($row) = $h->ended_rows(1, request_id => $stream->header('X-Request-Id'));
	is $row->{state}, 'settled', 'and is settled when it can be';
	is "$row->{prompt_tokens}+$row->{completion_tokens}", '11+77', 'with what was truly used';
	is $h->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'the next request works, nobody restarted anything';
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
	ok $h->await_log(qr/detail="the supplier's row is locked"/), 'the log says why';
	is $h->post($Wedding::EMAIL, email(), key => $other->{key})->status, 200, 'another supplier is answered meanwhile';
	is $h->standin->counts->{requests} - $requests, 1, 'nothing was spent';
	is scalar($h->ledger) - $rows, 1, 'nor written';
	$holder->rollback;
	$holder->disconnect;
	my $after = $h->post(@known, key => $held->{key}, headers => \%key);
	is $after->status, 200, 'then the supplier is answered';
	is $after->header('Idempotency-Replayed'), undef, 'under a key that was free';
};

subtest 'a supplier is locked when its call ends' => sub {
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('pieces=8 gate=4 tokens=77 prompt=11'), stream => JSON::PP::true), key => $s->{key});
	ok $stream->read_until(qr/(<t=\d+>.*?){4}/s, 5), 'the stream began';
	my $other = $pg->dbh;
	$other->begin_work;
	$other->do('select from public.user_profiles u where u.id = ? for update', undef, $s->{id});
	$h->standin->release;
	$stream->slurp;
	is $stream->ended, 'complete', 'the caller gets it to its end';
	my %call = (request_id => $stream->header('X-Request-Id'));
	is +($h->ledger(%call))[0]{state}, 'reserved', 'its row is not waited for';
	$other->rollback;
	$other->disconnect;
	ok await(sub { ($h->ledger(%call))[0]{state} eq 'settled' }, 10), 'and ends when the supplier is free';
	my ($row) = $h->ledger(%call);
	is "$row->{prompt_tokens}+$row->{completion_tokens}", '11+77', 'with what was truly used';
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

# A machine that is gone answers nothing, not even that it refuses.
subtest 'the first of two servers that are named is silent' => sub {
	my $silent = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1') or die "listen: $!\n";
	my $database = $pg->conninfo('www') =~ s/host=(\S+) port=(\d+)/'host=127.0.0.1,' . $1 . ' port=' . $silent->sockport . ',' . $2/er;
	my $other = Harness->new(web => 'lighttpd', beside => $h, settings => {database => $database});
	is $other->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'the second is asked';
	like $other->log_text, qr/cannot connect: .*127\.0\.0\.1.*no answer in time/, 'and what is wrong with the first is said';
};

# It takes connections and what is sent on them, and says nothing: a machine that swaps, a disk that hangs. Not even a request to give up is answered.
subtest 'it stands still' => sub {
	my $other = Harness->new(web => 'lighttpd', beside => $h, settings => {'database.statement_timeout' => '1s'});
	is $other->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'before';
	my $requests = $h->standin->counts->{requests};
	my $server = Harness::Web::slurp("$pg->{dir}/data/postmaster.pid") =~ s/\n.*//sr;
	my @all = ($server, Harness::children_of($server));
	kill STOP => @all;
	my @answers = map { eval { $other->post($Wedding::EMAIL, email(), key => $s->{key}, timeout => 20) } } 1 .. 3;
	kill CONT => @all;
	problem $_, 503, 'database_unavailable', 'the problem, though it stands still' for @answers;
	is $h->standin->counts->{requests}, $requests, 'nothing was spent';
	ok await(sub { $other->post($Wedding::EMAIL, email(), key => $s->{key})->status == 200 }, 10), 'when it goes on, requests are answered';
};

# What was never sent leaves nothing to make void: else the refused ones of a long outage would crowd out the settlements that wait for its end.
subtest 'while it cannot be reached, nothing is noted of the requests that are refused' => sub {
	$h->dbh->do(q{alter role www set log_statement = 'all'});
	$h->dbh->do(q{select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'www'});
	is $h->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'before';
	$pg->stop('fast');
	problem $h->post($Wedding::EMAIL, email(), key => $s->{key}), 503, 'database_unavailable', 'the problem' for 1 .. 3;
	$pg->start;
	is $h->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'after';
	$h->stop_daemon; # it books what waits before it ends
	my $asked = Harness::Web::slurp($pg->{log});
	like $asked, qr/fpm\.settle_calls/, 'the server noted what it was asked';
	unlike $asked, qr/fpm\.void_request/, 'to make nothing void';
};

done_testing;
