# A provider that refuses for now, or cannot be reached, is asked again within the request's deadline: in the same row, for the price of the answer alone. What may have been worked on is
# not asked for twice.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Load qw(cpu_seconds);
use Harness::Process qw(await);
use Wedding qw(email directive problem no_leak);

my $h = Harness->new(web => 'lighttpd', settings => {request_terminate_timeout => '20s', 'upstream.idle_timeout' => '1s', 'upstream.retries' => 2, heartbeat => '1s'});
my $up = $h->standin;
my $s = $h->supplier('enterprise');
my %sse = (headers => {Accept => 'text/event-stream'});

# What comes of an e-mail's request: the answer, its rows, and how many calls the upstream saw. `stream`: as events.
sub ask {
	my ($words, %with) = @_;
	$up->reset;
	my $r = ($with{to} // $h)->post($Wedding::EMAIL, email(directive($words), $with{stream} ? (stream => JSON::PP::true) : ()), key => $s->{key},
		headers => {$with{stream} ? %{$sse{headers}} : (), %{$with{headers} // {}}});
	return ($r, [$h->ledger(request_id => $r->header('X-Request-Id'))], $up->counts->{requests});
}

for my $stream (0, 1) {
	for my $status (429, 500, 502, 503, 529) {
		subtest(($stream ? 'stream: ' : 'plain: ') . $status => sub {
			my ($r, $rows, $calls) = ask("status=$status times=1 prompt=11 tokens=5", stream => $stream);
			is $r->status, 200, 'an answer' or diag $r->body;
			is $r->ended, 'complete', 'and whole';
			is $calls, 2, 'of the second call';
			is scalar(@$rows), 1, 'one row';
			is "$rows->[0]{state} $rows->[0]{prompt_tokens} $rows->[0]{completion_tokens}", 'settled 11 5', 'for the price of the answer';
			ok !$rows->[0]{estimated}, 'as it was reported';
			my $id = $r->header('X-Request-Id');
			ok $h->await_log(qr/ id=$id .* usage=reported calls=2 paused_us=\d+ /), 'the log tells of both, and that the figures are no estimate';
		});
	}
}

subtest 'it is asked so often, and no more' => sub {
	my ($r, $rows, $calls) = ask('status=500');
	problem $r, 503, 'upstream_unavailable', 'the problem';
	is $calls, 3, 'one call and two retries';
	is scalar(@$rows), 1, 'one row';
	is "$rows->[0]{state} $rows->[0]{error_message} $rows->[0]{tokens_used}", 'failed upstream_unavailable 0', 'that charges nothing';
	is $h->value("select day_count from fpm.counters where supplier_id = ?", $s->{id}),
		$h->value("select count(*) from ai_usage_tracking where supplier_id = ? and state <> 'failed'", $s->{id}), 'its place is given back';
	my $id = $r->header('X-Request-Id');
	ok $h->await_log(qr/ id=$id /), "its line is in the log";
	unlike $h->log_text, qr/ id=$id .* usage=/, 'nor does the log speak of a usage';
	no_leak($h, $r, 'after retries');
	my ($last, undef, $third) = ask('status=500 times=2');
	is $last->status, 200, 'the last retry counts';
	is $third, 3, 'like the others';
};

subtest 'what may have been worked on is not asked for again' => sub {
	for (['cut=3', 0], ['garbage=0', 0], ['status=400', 0], ['status=401', 0], ['silence', 1], ['pieces=8 error=0', 1], ['pieces=8 error=3', 1], ['pieces=8 cut=3', 1]) {
		my ($words, $stream) = @$_;
		my ($r, $rows, $calls) = ask($words, stream => $stream);
		is $calls, 1, "$words: one call";
		is $rows->[0]{state}, 'failed', 'that failed';
	}
};

subtest 'a provider that says when' => sub {
	my ($r, undef, $calls) = ask('status=429 retry_after=1 times=1');
	is $r->status, 200, 'is asked then';
	is $calls, 2, 'once more';
	cmp_ok $r->seconds, '>=', 1, 'and no sooner';
	($r, undef, $calls) = ask('status=429 retry_after=11');
	problem $r, 503, 'upstream_busy', 'one that says too late is not waited for';
	is $calls, 1, 'nor asked again';
	is $r->header('Retry-After'), 11, 'the caller is told what it said';
	($r, undef, $calls) = ask('status=503 retry_after=11');
	is $r->header('Retry-After'), 11, 'with 503 too';
	($r, undef, $calls) = ask('status=429 retry_after=1 times=1', stream => 1);
	my @comments = grep { exists $_->{comment} } $r->events;
	cmp_ok scalar(@comments), '>', 0, 'a caller of events hears from us meanwhile';
};

subtest 'a caller who leaves is not waited with' => sub {
	$up->reset;
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('status=503 retry_after=9'), stream => JSON::PP::true), key => $s->{key}, %sse);
	ok $stream->read_until(qr/heartbeat/, 10), 'the provider has refused, and is to be asked again in 9 seconds';
	$stream->close;
	my ($row) = $h->ended_rows(1, request_id => $stream->header('X-Request-Id'));
	is "$row->{state} $row->{error_message} $row->{tokens_used}", 'aborted caller_left 0', 'he left, and owes nothing';
	is $up->counts->{requests}, 1, 'nobody was asked for him again';
	cmp_ok $row->{request_duration_ms}, '<', 9000, 'nor waited';
};

subtest 'one who leaves a stream with a key: it is asked again for his return, and the pause is one' => sub {
	$up->reset;
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('status=503 retry_after=4 times=1'), stream => JSON::PP::true), key => $s->{key},
		headers => {%{$sse{headers}}, 'Idempotency-Key' => "left-$$"});
	ok $stream->read_until(qr/heartbeat/, 10), 'the provider has refused, and is to be asked again in 4 seconds';
	my $before = cpu_seconds($h->workers);
	$stream->close;
	my ($row) = $h->ended_rows(1, request_id => $stream->header('X-Request-Id'));
	is $row->{state}, 'settled', 'it has answered';
	is $up->counts->{requests}, 2, 'the second call';
	cmp_ok cpu_seconds($h->workers) - $before, '<', 1, 'and the processor had nothing to do meanwhile';
};

subtest 'a long request, asked again and again, of one model after the other' => sub {
	my $long = Harness->new(web => 'lighttpd', beside => $h, settings => {'upstream.retries' => 2, request_body_max => '4M', input_max_string => 1000000});
	my ($own, @others) = map { "openai/$_" } qw(gpt-4o-mini gpt-4.1 gpt-4 gpt-4-turbo gpt-3.5-turbo);
	Harness::Web::spew($long->docroot . '/long.prompt', "---\nmodel: $own\nfpm.fallback: [" . join(', ', @others) . "]\nconfig: { maxOutputTokens: 300 }\n"
		. "input: { schema: { words: string, more: string } }\nfpm.feature: chatbot\nfpm.answer: text\n---\n{{words}}{{more}}{{more}}\n");
	$up->reset;
	my $r = $long->post('/long.prompt', {words => directive('status=503'), more => '"' x 480_000}, key => $s->{key});
	problem $r, 503, 'upstream_unavailable', 'the providers\' problem';
	is $up->counts->{requests}, 15, 'of three calls to each';
};

subtest 'under an idempotency key' => sub {
	my $body = email(directive('status=503 times=1'));
	my %with = (key => $s->{key}, headers => {'Idempotency-Key' => "retry-$$"});
	$up->reset;
	my $first = $h->post($Wedding::EMAIL, $body, %with);
	is $first->status, 200, 'an answer, after a retry';
	my $again = $h->post($Wedding::EMAIL, $body, %with);
	is $again->header('Idempotency-Replayed'), 'true', 'is given again';
	is $again->body, $first->body, 'as it was';
	is $up->counts->{requests}, 2, 'with no third call';
};

subtest 'none, where the operator wants none' => sub {
	my $h0 = Harness->new(web => 'lighttpd', standin => 0, cluster => $h->cluster, settings => {
		'openai.base_url' => $up->url . '/v1', 'openai.api_key' => $h->{upstream_key}, 'upstream.retries' => 0,
	});
	my ($r, undef, $calls) = ask('status=503 times=1', to => $h0);
	problem $r, 503, 'upstream_unavailable', 'the problem at once';
	is $calls, 1, 'of one call';
};

subtest 'the deadline holds' => sub {
	my $soon = Harness->new(web => 'lighttpd', standin => 0, cluster => $h->cluster, settings => {
		'openai.base_url' => $up->url . '/v1', 'openai.api_key' => $h->{upstream_key}, 'upstream.retries' => 10, request_terminate_timeout => '5s',
	});
	my ($r, undef, $calls) = ask('status=503 retry_after=3', to => $soon);
	problem $r, 503, 'upstream_unavailable', 'what the provider said last is told';
	is $calls, 2, 'one retry within it, none beyond';
};

ok await(sub { $h->request('GET', '/api/ai/status?json', {})->json->{retries} >= 10 }, 10), 'the status page counts them';

subtest 'a provider that cannot be reached' => sub {
	$up->stop;
	my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
	problem $r, 503, 'upstream_unreachable', 'the problem';
	my $id = $r->header('X-Request-Id');
	ok $h->await_log(qr/ id=$id .* calls=3 /), 'is tried again, too';
	my ($row) = $h->ledger(request_id => $id);
	is "$row->{state} $row->{tokens_used}", 'failed 0', 'and costs nothing';
};

is $h->value("select count(*) from ai_usage_tracking where state = 'reserved'"), 0, 'no row is without an end';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
