# Idempotency-Key: a request that is sent again is answered again and charged once, whatever happened to the first.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(await);
use Wedding qw(email form directive problem);

my $h = Harness->new(web => 'lighttpd', settings => {'pm.max_children' => 4, 'janitor.interval' => '100ms'});
my $s = $h->supplier('enterprise');
my $count = 0;

# Headers with a key, in quotes as the draft has it.
sub keyed {
	my ($key, %more) = @_;
	return (key => $s->{key}, headers => {'Idempotency-Key' => "\"$key\"", %more});
}

sub new_key { return "key $$ " . $count++ }
sub stream  { return email(directive(@_), stream => JSON::PP::true) }

my %sse = (Accept => 'text/event-stream');

sub calls { return $h->standin->counts->{requests} }

# A replay of that answer.
sub replay {
	my ($again, $first, $name) = @_;
	return subtest $name => sub {
		is $again->status, $first->status, 'its status';
		is $again->header('Idempotency-Replayed'), 'true', 'said to be a replay';
		is $again->header('X-Request-Id'), $first->header('X-Request-Id'), 'the id of the first, which is in the ledger';
		is $again->header('X-Model'), $first->header('X-Model'), 'its model';
		is $again->header('Content-Type'), $first->header('Content-Type'), 'its type';
		ok $again->body eq $first->body, 'its body, byte for byte';
		is $again->ended, 'complete', 'whole';
	};
}

sub text_of { return join '', map { $_->{event} eq 'message' ? decode_json($_->{data})->{text} : () } grep { exists $_->{data} } $_[0]->events }

sub done_of {
	my ($last) = reverse grep { exists $_->{data} } $_[0]->events;
	return $last->{event} eq 'done' ? decode_json($last->{data})->{usage} : undef;
}

subtest 'a hundred at once while the first is at work' => sub {
	my @request = ($Wedding::EMAIL, email(directive('gate=0 tokens=9')), keyed(new_key()));
	my $calls = calls();
	my @answers = map { $h->begin(@request) } 1 .. 100;
	ok $h->standin->wait('gated', 1, 10), 'the upstream is at work';
	ok await(sub {
		($h->value("select sum(count) from fpm.refusals where supplier_id = ? and reason = 'idempotency_in_flight'", $s->{id}) // 0) == 99
	}, 20), 'ninety-nine were told so';
	$h->standin->release;
	my @by = ([], []);
	push @{$by[$_->slurp->status == 200]}, $_ for @answers;
	is scalar @{$by[1]}, 1, 'one is answered';
	problem $by[0][0], 409, 'idempotency_in_flight', 'the others';
	cmp_ok $by[0][0]->header('Retry-After'), '>', 0, 'may come back';
	is_deeply [map { $_->status } @{$by[0]}], [(409) x 99], 'all of them';
	is calls() - $calls, 1, 'one call of the upstream';
	my @rows = $h->ended_rows(1, supplier_id => $s->{id}, completion_tokens => 9);
	is scalar @rows, 1, 'one row';
	is $rows[0]{request_id}, $by[1][0]->header('X-Request-Id'), 'which is the answer\'s';
	is $by[1][0]->header('Idempotency-Replayed'), undef, 'which is no replay';
	replay $h->post(@request), $by[1][0], 'a later retry';
	is calls() - $calls, 1, 'and no other call';
};

subtest 'a hundred at once, as they come' => sub {
	my $calls = calls();
	my $rows = $h->value('select count(*) from ai_usage_tracking');
	my @answers = $h->client->together(([$Wedding::EMAIL, email(), keyed(new_key())]) x 100);
	my %by;
	push @{$by{$_->status}}, $_ for @answers;
	is_deeply [grep { $_ != 200 && $_ != 409 } keys %by], [], 'answers, or 409' or diag explain {map { $_ => scalar @{$by{$_}} } keys %by};
	my %bodies = map { $_->body => 1 } @{$by{200}};
	is scalar keys %bodies, 1, scalar(@{$by{200}}) . ' answers are one and the same';
	is scalar(grep { !$_->header('Idempotency-Replayed') } @{$by{200}}), 1, 'of which one is the first';
	is calls() - $calls, 1, 'one call of the upstream';
	is $h->value('select count(*) from ai_usage_tracking') - $rows, 1, 'one row';
};

subtest 'streams' => sub {
	for my $first_sse (0, 1) {
		my @request = ($Wedding::EMAIL, stream('pieces=5 nostamp prompt=10 tokens=20'));
		my $key = new_key();
		my $calls = calls();
		my $first = $h->post(@request, keyed($key, $first_sse ? %sse : ()));
		is $first->status, 200, $first_sse ? 'events first' : 'plain text first';
		my $text = $first_sse ? text_of($first) : $first->body;
		my $plain = $h->post(@request, keyed($key));
		is $plain->header('Content-Type'), 'text/plain; charset=utf-8', 'again, as text';
		is $plain->body, $text, 'the same text';
		is $plain->header('Idempotency-Replayed'), 'true', 'said to be a replay';
		my $events = $h->post(@request, keyed($key, %sse));
		is $events->header('Content-Type'), 'text/event-stream; charset=utf-8', 'again, as events';
		is text_of($events), $text, 'the same text';
		is_deeply done_of($events), {tokensUsed => 30, costCents => 0.00135, fromCache => JSON::PP::false}, 'closed by its usage';
		is calls() - $calls, 1, 'one call';
		is scalar($h->ledger(request_id => $events->header('X-Request-Id'))), 1, 'one row, named by all';
	}
};

subtest 'an answer from the cache' => sub {
	my $body = email();
	my $first = $h->post($Wedding::EMAIL, $body, key => $s->{key});
	my @request = ($Wedding::EMAIL, $body, keyed(new_key()));
	my $hit = $h->post(@request);
	ok $hit->json->{usage}{fromCache}, 'a hit';
	replay $h->post(@request), $hit, 'a hit too is given again';
	is $h->value("select count(*) from ai_usage_tracking where state = 'cached' and request_id = ?", $hit->header('X-Request-Id')), 1, 'and takes one place';
};

subtest 'whose key, and for what' => sub {
	my ($key, $calls) = (new_key(), calls());
	my @request = ($Wedding::EMAIL, email(), keyed($key));
	my $first = $h->post(@request);
	problem $h->post($Wedding::EMAIL, email(), keyed($key)), 422, 'idempotency_mismatch', 'another body';
	my $other = $h->supplier('enterprise');
	my $his = $h->post($Wedding::EMAIL, email(), key => $other->{key}, headers => {'Idempotency-Key' => "\"$key\""});
	is $his->status, 200, 'another supplier with the same key';
	is $his->header('Idempotency-Replayed'), undef, 'makes a call of his own';
	isnt $his->header('X-Request-Id'), $first->header('X-Request-Id'), 'and gets his own answer';
	my $elsewhere = $h->post($Wedding::FORM, form(), keyed($key));
	is $elsewhere->header('Idempotency-Replayed'), undef, 'at another endpoint it is another key';
	is calls() - $calls, 3, 'three calls';
	replay $h->post(@request), $first, 'the first is what it was';
	problem $h->post($Wedding::EMAIL, $request[1], headers => {'Idempotency-Key' => "\"$key\""}), 401, 'unauthenticated', 'without a caller\'s key';
	$h->dbh->do('update fpm.api_keys set revoked_at = now() where supplier_id = ?', undef, $other->{id});
	my $revoked = $h->post($Wedding::EMAIL, email(), key => $other->{key}, headers => {'Idempotency-Key' => "\"$key\""});
	problem $revoked, 401, 'unauthenticated', 'a caller\'s key that was revoked gets no replay';
};

subtest 'how a key is written' => sub {
	my $key = new_key();
	my @request = ($Wedding::EMAIL, email());
	my $first = $h->post(@request, keyed($key));
	replay $h->post(@request, key => $s->{key}, headers => {'Idempotency-Key' => $key}), $first, 'without quotes';
	my $with = sub { return $h->post(@request, key => $s->{key}, headers => {'Idempotency-Key' => $_[0]}) };
	is $with->($_)->status, 200, "good: $_" for '"with \\"quotes\\" and \\\\"', '~', '"' . 'x' x 255 . '"';
	problem $with->($_), 400, 'invalid_idempotency_key', 'bad: ' . substr $_, 0, 40
		for '""', '"open', '"shut" too much', '"wrong \\escape"', '"open \\', "caf\xc3\xa9", 'x' x 256, '"' . 'x' x 256 . '"';
};

subtest 'what was not spent is tried again' => sub {
	my $starter = $h->supplier('starter');
	my @chat = ('/api/ai/chat', {message => "hello $$"});
	$h->post('/api/ai/chat', {message => "hello $_"}, key => $starter->{key}) for 1 .. 2;
	my @with = (key => $starter->{key}, headers => {'Idempotency-Key' => new_key()});
	problem $h->post(@chat, @with), 429, 'daily_limit', 'over the limit';
	is $h->value("select count(*) from fpm.idempotency_keys where supplier_id = ?", $starter->{id}), 0, 'the key is given up';
	$h->ctl_ok('supplier', 'tier', $starter->{id}, 'enterprise');
	is $h->post(@chat, @with)->status, 200, 'and good when there is room';

	my @request = ($Wedding::EMAIL, email(), keyed(new_key()));
	problem $h->post($Wedding::EMAIL, {}, keyed('k')), 400, 'invalid_input', 'a request that is wrong takes no key';
	$h->standin->next(1, 'status=400');
	problem $h->post(@request), 502, 'upstream_error', 'a provider that failed and charges nothing';
	my $second = $h->post(@request);
	is $second->status, 200, 'is asked again';
	is $second->header('Idempotency-Replayed'), undef, 'in truth';
	replay $h->post(@request), $second, 'whose answer counts';
};

subtest 'what was spent is not spent again' => sub {
	my ($calls, $other) = (calls(), $h->supplier('enterprise'));
	my @request = ($Wedding::FORM, form(directive('text=no JSON')), key => $other->{key}, headers => {'Idempotency-Key' => new_key()});
	my $first = $h->post(@request);
	problem $first, 502, 'invalid_generation', 'an answer that was of no use';
	my $after = calls();
	replay $h->post(@request), $first, 'was charged: it is the answer to the key';
	is calls(), $after, 'no other call';
	$h->dbh->do("update fpm.idempotency_keys set problem = 'upstream_unreachable' where request_id = ?", undef, $first->header('X-Request-Id'));
	my $unreachable = $h->post(@request);
	is $unreachable->status . ' ' . $unreachable->json->{code}, '503 upstream_unreachable', 'one that says to come back';
	is $unreachable->header('Retry-After'), undef, 'does not say so when it is given again: waiting brings nothing else';

	my $key = new_key();
	my @broken = ($Wedding::EMAIL, stream('pieces=8 nostamp cut=3'));
	my $cut = $h->post(@broken, keyed($key, %sse));
	my $again = $h->post(@broken, keyed($key, %sse));
	is text_of($again), text_of($cut), 'a stream that broke off: the same text';
	is +(grep { exists $_->{data} } $again->events)[-1]{data}, (grep { exists $_->{data} } $cut->events)[-1]{data}, 'and the same error';
	like $h->post(@broken, keyed($key))->body, qr/\[upstream_error: .* Request \Q@{[$cut->header('X-Request-Id')]}\E\]\n\z/, 'in plain text too';
	is scalar($h->ledger(request_id => $cut->header('X-Request-Id'))), 1, 'one row';
};

subtest 'a caller who leaves a stream comes back for it' => sub {
	for my $accept ({}, \%sse) {
		my $key = new_key();
		my @request = ($Wedding::EMAIL, stream('pieces=8 nostamp gate=2 tokens=33'));
		my $cancelled = $h->standin->counts->{cancelled};
		my $left = $h->open_stream(@request, keyed($key, %$accept));
		ok $h->standin->wait('gated', 1, 10), 'the upstream is at work';
		$left->close('reset');
		problem $h->post(@request, keyed($key)), 409, 'idempotency_in_flight', 'it runs on';
		$h->standin->release;
		my ($row) = $h->ended_rows(1, request_id => $left->header('X-Request-Id'));
		is "$row->{state} $row->{completion_tokens}", 'settled 33', 'to its end';
		is $h->standin->counts->{cancelled}, $cancelled, 'nothing is cancelled';
		my $again = $h->post(@request, keyed($key, %sse));
		is $again->header('X-Request-Id'), $left->header('X-Request-Id'), 'whoever comes back gets it';
		is done_of($again)->{tokensUsed}, $row->{tokens_used}, 'whole';
	}
};

subtest 'through another web server, to another daemon, through PgBouncer' => sub {
	my @request = ($Wedding::EMAIL, email(), keyed(new_key()));
	my $first = $h->post(@request);
	replay $h->client($h->start_web('apache'))->post(@request), $first, 'behind Apache';
	plan skip_all => 'no PgBouncer' unless $h->cluster->pool;
	my $pooled = $h->cluster->conninfo('www') =~ s/port=5432/port=6432/r;
	my $other = Harness->new(start => 0, web => 'lighttpd', cluster => $h->cluster, settings => {database => $pooled});
	$other->start_all;
	replay $other->post(@request), $first, 'another daemon, through PgBouncer';
	my @new = ($Wedding::EMAIL, email(), keyed(new_key()));
	my $calls = calls() + $other->standin->counts->{requests};
	my @answers = map { $_->slurp } map { ($h->begin(@new), $other->begin(@new)) } 1 .. 20;
	is_deeply [grep { $_ != 200 && $_ != 409 } map { $_->status } @answers], [], 'both at once: answers, or 409';
	my %ids = map { $_->status == 200 ? ($_->header('X-Request-Id') => 1) : () } @answers;
	is scalar keys %ids, 1, 'of one request';
	is calls() + $other->standin->counts->{requests} - $calls, 1, 'one call, of either upstream';
};

subtest 'a worker that is killed at work' => sub {
	my $key = new_key();
	my @request = ($Wedding::EMAIL, email(directive('gate=0')));
	my $first = $h->begin(@request, keyed($key));
	ok $h->standin->wait('gated', 1, 10), 'the upstream is at work';
	my ($row) = $h->ledger(state => 'reserved');
	kill 'KILL', $row->{worker} =~ /:(\d+):/;
	my ($ended) = $h->ended_rows(1, request_id => $row->{request_id});
	is $ended->{state}, 'expired', 'its row is ended by the estimate';
	$h->standin->release;
	$first->slurp;
	my $calls = calls();
	problem $h->post(@request, keyed($key)), 409, 'idempotency_lost', 'the key was charged, and makes no second charge';
	is calls(), $calls, 'nor another call';
	is $h->post($Wedding::EMAIL, email(), keyed(new_key()))->status, 200, 'the service goes on';
};

subtest 'a database that is lost' => sub {
	my $key = new_key();
	my @request = ($Wedding::EMAIL, stream('pieces=8 gate=2 nostamp'));
	my $first = $h->open_stream(@request, keyed($key, %sse));
	ok $h->standin->wait('gated', 1, 10), 'the upstream is at work';
	$h->cluster->stop('immediate');
	$h->standin->release;
	$first->slurp;
	ok done_of($first), 'the caller gets it to its end';
	problem $h->post(@request, keyed($key)), 503, 'database_unavailable', 'a retry cannot be told';
	problem $h->post($Wedding::EMAIL, email(), keyed(new_key())), 503, 'database_unavailable', 'nor a new one';
	$h->cluster->start;
	my ($row) = $h->ended_rows(1, request_id => $first->header('X-Request-Id'));
	is $row->{state}, 'settled', 'the row is settled when the database is back';
	ok await(sub { ($h->post(@request, keyed($key))->json // {code => ''})->{code} eq 'idempotency_lost' }, 10),
		'the answer could not be kept: a retry is told so, and charged nothing';
	is $h->value('select count(*) from ai_usage_tracking where request_id = ?', $first->header('X-Request-Id')), 1, 'one row';
};

subtest 'its time' => sub {
	my @request = ($Wedding::EMAIL, email(), keyed(new_key()));
	my $first = $h->post(@request);
	my ($left) = $h->value('select extract(epoch from expires_at - now()) from fpm.idempotency_keys order by claimed_at desc limit 1');
	cmp_ok abs($left - 86400), '<', 300, 'a day';
	$h->dbh->do('update fpm.idempotency_keys set expires_at = now()');
	ok await(sub { $h->value('select count(*) from fpm.idempotency_keys') == 0 }, 10), 'then the sweep takes it away';
	$h->dbh->do('update ai_response_cache set expires_at = now()');
	my $next = $h->post(@request);
	is $next->status, 200, 'and the key is new';
	is $next->header('Idempotency-Replayed'), undef, 'no replay';
	isnt $next->header('X-Request-Id'), $first->header('X-Request-Id'), 'but another request';
};

unlike $h->log_text, qr/key $$ \d/, 'no key is in the log';
is_deeply [$h->ctl('audit')], [0, "the ledger and the counters are equal\n", ''], 'promptctl audit finds ledger and counters equal';

done_testing;
