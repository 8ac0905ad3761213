# The e-mail endpoint behind lighttpd and behind Apache: a whole answer, the same from the cache, a stream that arrives as it is sent, and server-sent
# events that end with the usage.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Wedding qw(email form directive);

my $h = Harness->new(web => 'lighttpd');
my %web = (lighttpd => $h->web, apache => $h->start_web('apache'));
my $supplier = $h->supplier('enterprise');

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2] }

# The row of an answer, which is settled by the time the answer has been read.
sub row_of {
	my ($answer) = @_;
	my @rows = $h->ledger(request_id => $answer->header('X-Request-Id'));
	is scalar @rows, 1, 'one row for the request id';
	return $rows[0];
}

for my $kind (sort keys %web) {
	my $client = $h->client($web{$kind});
	my $again = email(directive('tokens=91 prompt=17'));

	subtest "$kind: a whole answer" => sub {
		my $r = $client->post($Wedding::EMAIL, $again, key => $supplier->{key});
		is $r->status, 200, 'status' or diag $r->body;
		like $r->header('Content-Type'), qr{^application/json}, 'JSON';
		my $json = $r->json;
		ok length $json->{template}, 'the template';
		is_deeply [sort keys %$json], [qw(template usage)], 'and the usage beside it, nothing more';
		is $json->{usage}{tokensUsed}, 108, 'tokens as the provider reports them';
		like $r->body, qr/"costCents":0\.005715\b/, 'the exact cost';
		ok !$json->{usage}{fromCache}, 'not from the cache';
		my $row = row_of($r);
		is $row->{state}, 'settled', 'settled';
		is "$row->{prompt_tokens}+$row->{completion_tokens}=$row->{tokens_used}", '17+91=108', 'the ledger has the same tokens';
		is $row->{cost_cents} + 0, 0.005715, 'and the same cost';
		ok !$row->{estimated}, 'nothing estimated';
	};

	subtest "$kind: the same from the cache" => sub {
		my $before = $h->standin->counts->{requests};
		my $r = $client->post($Wedding::EMAIL, $again, key => $supplier->{key});
		is $r->status, 200, 'status';
		my $usage = $r->json->{usage};
		ok $usage->{fromCache}, 'from the cache';
		is $usage->{tokensUsed}, 0, 'no tokens';
		is $usage->{costCents}, 0, 'no cost';
		is $h->standin->counts->{requests}, $before, 'the upstream was not asked';
		my $row = row_of($r);
		is $row->{state}, 'cached', 'a row all the same';
		my ($hits) = map { $_->{cache_hits} } $h->rows('select sum(cache_hits) as cache_hits from ai_response_cache');
		cmp_ok $hits, '>=', 1, 'the hit is counted';
		my $streamed = $client->post($Wedding::EMAIL, {%$again, stream => JSON::PP::true}, key => $supplier->{key});
		is $streamed->status, 200, 'a stream of it';
		is $streamed->body, $r->json->{template}, 'has the same text' if $streamed->header('Content-Type') =~ /^text\/plain/;
	};

	subtest "$kind: a stream arrives as it is sent" => sub {
		my $s = $client->open_stream($Wedding::EMAIL, email(directive('pieces=50 delay_ms=10'), stream => JSON::PP::true), key => $supplier->{key});
		is $s->status, 200, 'status';
		is $s->header('Content-Type'), 'text/plain; charset=utf-8', 'type';
		$s->slurp;
		is $s->ended, 'complete', 'it ends well';
		my @lags = $s->lags;
		cmp_ok scalar @lags, '>=', 50, 'every piece bears the time it was sent at';
		cmp_ok scalar $s->pieces, '>=', 25, 'they came one by one';
		my $median = median(@lags);
		note sprintf '%s: lag of a piece: median %.2f ms, longest %.2f ms', $kind, $median, $lags[-1];
		diag sprintf '%s: lag of a piece: median %.2f ms, longest %.2f ms', $kind, $median, $lags[-1];
		cmp_ok $median, '<', Harness::Process::patience(5), 'median lag under 5 ms';
		is row_of($s)->{state}, 'settled', 'settled';
	};

	subtest "$kind: nothing waits for the end of the stream" => sub {
		my $s = $client->open_stream($Wedding::EMAIL, email(directive('pieces=6 gate=3'), stream => JSON::PP::true), key => $supplier->{key});
		ok $s->read_until(qr/(<t=\d+>.*?){3}/s, 5), 'three pieces came while the upstream holds the others back';
		ok !$s->ended, 'the stream is open';
		is $s->header('X-Accel-Buffering'), 'no', 'nginx would be told not to collect it';
		$h->standin->release;
		$s->slurp;
		is $s->ended, 'complete', 'it went on to its end';
	};

	subtest "$kind: server-sent events" => sub {
		my $s = $client->open_stream($Wedding::EMAIL, email(directive('pieces=8 tokens=91 prompt=17'), stream => JSON::PP::true),
			key => $supplier->{key}, headers => {Accept => 'text/event-stream'});
		is $s->status, 200, 'status';
		like $s->header('Content-Type'), qr{^text/event-stream}, 'type';
		$s->slurp;
		my @events = grep { !exists $_->{comment} } $s->events;
		my $last = pop @events;
		is $last->{event}, 'done', 'the last event';
		my $usage = decode_json($last->{data})->{usage};
		is $usage->{tokensUsed}, 108, 'bears the usage';
		like $last->{data}, qr/"costCents":0\.005715\b/, 'exactly';
		my $text = join '', map { decode_json($_->{data})->{text} } @events;
		is scalar(() = $text =~ /<t=\d+>/g), 8, 'the others bear the text';
	};

	subtest "$kind: a form" => sub {
		my $r = $client->post($Wedding::FORM, form(), key => $h->supplier('enterprise')->{key});
		is $r->status, 200, 'status' or diag $r->body;
		is ref $r->json->{form}, 'HASH', 'an object';
		ok exists $r->json->{form}{$_}, "it has $_" for qw(title description fields);
		like $r->header('RateLimit-Policy'), qr/q=5;w=3600/, 'its rate is told';
		like $r->header('RateLimit'), qr/;r=4;t=(?:719|720)$/, 'and what is left of it';
		is $r->header('Cache-Control'), 'no-store', 'nobody on the way keeps it';
		is $r->header('X-Content-Type-Options'), 'nosniff', 'or takes it for something else';
		is $h->standin->last_body->{response_format}{type}, 'json_schema', 'the provider was asked for the schema';
	};
}

subtest 'characters are not cut in two' => sub {
	my $s = $h->open_stream($Wedding::EMAIL, email(directive('nostamp split=1 text=Zo' . "\x{eb}" . ' ' . "\x{1f48d}" . ' ok'), stream => JSON::PP::true),
		key => $supplier->{key});
	$s->slurp;
	is $s->body, "Zo\xc3\xab \xf0\x9f\x92\x8d ok", 'the text is whole';
};

subtest 'the form of a stream is the one that Accept asks for' => sub {
	my %form = ('application/json, Text/Event-Stream' => 'text/event-stream', 'text/event-stream;q=0, */*' => 'text/plain', 'text/plain, text/event-stream;q=0.5' => 'text/plain');
	for my $accept (sort keys %form) {
		my $r = $h->post($Wedding::EMAIL, email(undef, stream => JSON::PP::true), key => $supplier->{key}, headers => {Accept => $accept});
		is $r->header('Content-Type'), "$form{$accept}; charset=utf-8", $accept;
	}
};

subtest 'a heartbeat comes while the upstream is silent' => sub {
	my $quick = Harness->new(web => 'lighttpd', cluster => $h->cluster, settings => {heartbeat => '100ms'});
	my $s = $quick->open_stream($Wedding::EMAIL, email(directive('gate=1 pieces=3'), stream => JSON::PP::true),
		key => $supplier->{key}, headers => {Accept => 'text/event-stream'});
	ok $s->read_until(qr/(: heartbeat\n\n.*){2}/s, 5), 'two of them';
	$quick->standin->release;
	$s->slurp;
	like $s->body, qr/event: done\n/, 'and the stream ends as ever';
};

subtest 'and while another request makes the same answer' => sub {
	my $quick = Harness->new(web => 'apache', cluster => $h->cluster, settings => {heartbeat => '100ms'});
	my @request = ($Wedding::EMAIL, email(directive('gate=0 pieces=3'), stream => JSON::PP::true), key => $supplier->{key}, headers => {Accept => 'text/event-stream'});
	my $maker = $quick->begin(@request);
	ok $quick->standin->wait(gated => 1), 'one is at it';
	my ($stays, $leaves) = map { $quick->begin(@request) } 1 .. 2;
	ok $_->read_until(qr/(: heartbeat\n\n.*){2}/s, 5), 'who waits for it hears two of them' for $stays, $leaves;
	is $stays->header('X-Model'), 'gpt-4o-mini', 'and which model it is';
	my $id = $leaves->header('X-Request-Id');
	$leaves->close;
	ok $quick->await_log(qr/ id=\Q$id\E .* caller=left /), 'who leaves meanwhile is noticed, behind Apache too';
	$quick->standin->release;
	is $maker->slurp->status, 200, 'it is made';
	like $stays->slurp->body, qr/"text":.*event: done\n.*"fromCache":true/s, 'and passed on';
	is scalar($h->ledger(request_id => $id)), 0, 'who left has used nothing';
};

done_testing;
