# The stand-in upstream itself: what the other tests build on must answer as the providers do, and misbehave as it is told.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;

my $h = Harness->new(start => 0);
$h->start_standin;
my $up = $h->standin;
my $c = Harness::Client->new(port => $up->port);
my ($openai, $anthropic) = ('/v1/chat/completions', '/v1/messages');
my %key = (key => $h->{upstream_key});
my %anthropic_key = (headers => {'x-api-key' => $h->{upstream_key}});

sub call {
	my ($text, %more) = @_;
	return {model => 'gpt-4o-mini', messages => [{role => 'user', content => $text}], %more};
}

sub stream { return call($_[0], stream => JSON::PP::true, stream_options => {include_usage => JSON::PP::true}) }

# The chunks of an OpenAI stream, and whether it ended in [DONE].
sub chunks {
	my ($answer) = @_;
	my @data = map { $_->{data} // () } $answer->events;
	my $done = @data && $data[-1] eq '[DONE]';
	return ($done, map { decode_json($_) } grep { $_ ne '[DONE]' } @data);
}

subtest 'OpenAI, plain' => sub {
	my $r = $c->post($openai, call('12345678'), %key);
	is($r->status, 200);
	is_deeply([@{$r->json->{usage}}{qw(prompt_tokens completion_tokens total_tokens)}], [2, 8, 10], 'usage');
	is($r->json->{choices}[0]{finish_reason}, 'stop');
	like($r->json->{choices}[0]{message}{content}, qr/^Dear couple, /);
	$r = $c->post($openai, call('x', max_tokens => 3), %key);
	is($r->json->{choices}[0]{finish_reason}, 'length', 'max_tokens ends it');
};

subtest 'OpenAI, streamed' => sub {
	my $r = $c->post($openai, stream('x [[standin pieces=4 tokens=17 cached=1 prompt=9]]'), %key);
	my ($done, @chunks) = chunks($r);
	ok($done, '[DONE]');
	is($chunks[0]{choices}[0]{delta}{role}, 'assistant');
	is($chunks[-2]{choices}[0]{finish_reason}, 'stop');
	is_deeply($chunks[-1]{choices}, [], 'the last has no choices');
	is_deeply([@{$chunks[-1]{usage}}{qw(prompt_tokens completion_tokens)}], [9, 17], 'but usage');
	is(scalar($r->lags), 4, 'four stamps');
	my ($d, @split) = chunks($c->post($openai, stream('[[standin split bom crlf comment nostamp pieces=20]]'), %key));
	is(join('', map { $_->{choices}[0]{delta}{content} // '' } @split[1 .. 20]) =~ tr/ //, 20, 'in bytes, with byte order mark, CRLF and comments');
};

subtest 'structured output' => sub {
	my $field = {type => 'object', properties => {type => {enum => ['text', 'date']}, required => {type => 'boolean'}, n => {type => ['null', 'integer']}}};
	my $schema = {type => 'object', '$defs' => {f => $field}, properties => {
		title => {type => 'string', minLength => 8}, fields => {type => 'array', items => {'$ref' => '#/$defs/f'}}}};
	my $r = $c->post($openai, call('x', response_format => {type => 'json_schema', json_schema => {name => 'f', schema => $schema}}), %key);
	is_deeply(decode_json($r->json->{choices}[0]{message}{content}),
		{title => 'wordxxxx', fields => [{type => 'text', required => JSON::PP::true, n => 1}]}, 'a value of the schema');
	is($c->post($openai, call('[[standin text={"a": [[1]]}]]'), %key)->json->{choices}[0]{message}{content}, '{"a": [[1]]}', 'or the one that is given');
};

subtest 'Anthropic' => sub {
	my $r = $c->post($anthropic, call('12345678', max_tokens => 100), %anthropic_key);
	my $json = $r->json;
	is_deeply([$json->{content}[0]{type}, $json->{stop_reason}, @{$json->{usage}}{qw(input_tokens output_tokens)}], ['text', 'end_turn', 2, 8], 'plain');
	$r = $c->post($anthropic, {%{call('12345678 [[standin pieces=2]]')}, stream => JSON::PP::true}, %anthropic_key);
	is_deeply([map { $_->{event} } $r->events], [qw(message_start content_block_start ping), ('content_block_delta') x 2,
		qw(content_block_stop message_delta message_stop)], 'streamed');
	is($c->post($anthropic, {}, %key)->json->{error}{type}, 'authentication_error', 'its key comes in its own header');
};

subtest 'misbehaviour' => sub {
	for my $status (400, 401, 429, 500, 503) {
		my $r = $c->post($openai, call("[[standin status=$status retry_after=7]]"), %key);
		is_deeply([$r->status, $r->header('retry-after')], [$status, 7], "status $status");
		like($r->body, qr/\Q$Harness::Standin::SECRET/, 'with what must not leak');
	}
	like($c->post($openai, call('x'), key => 'wrong')->body, qr/\Q$Harness::Standin::SECRET/, 'a wrong key too');
	my $r = $c->post($openai, stream('[[standin cut=3]]'), %key);
	is_deeply([$r->ended, scalar($r->lags)], ['cut', 3], 'cut after three');
	is($c->post($openai, stream('[[standin reset=3]]'), %key)->ended, 'cut', 'by RST');
	is($c->post($openai, call('[[standin cut]]'), %key)->ended, 'cut', 'cut, plain');
	$r = $c->post($openai, stream('[[standin garbage=2]]'), %key);
	like($r->body, qr/^data: <html>/m, 'garbage');
	($r) = chunks($c->post($openai, stream('[[standin end=2]]'), %key));
	ok(!$r, 'no end');
	is($c->post($openai, call('[[standin garbage]]'), %key)->json, undef, 'garbage, plain');
	ok(!grep({ $_->{usage} } (chunks($c->post($openai, stream('[[standin nousage]]'), %key)))[1 .. 9]), 'no usage');
	cmp_ok(length $c->post($openai, call('[[standin huge=100000]]'), %key)->body, '>', 100000, 'huge');
	is($c->post($openai, call('[[standin nonsense]]'), %key)->status, 400, 'what is not understood is said');
	is($c->post($openai, call('[[standin model=other status=500]]'), %key)->status, 200, 'for another model');
};

subtest 'an error for the first calls of a request' => sub {
	my $ask = sub { return $c->post($openai, call('[[standin status=503 times=2]]'), key => $h->{upstream_key}, headers => {'X-Client-Request-Id' => $_[0]})->status };
	is_deeply([map { $ask->('a') } 1 .. 3], [503, 503, 200], 'and then none');
	is($ask->('b'), 503, 'each request for itself');
	$up->reset;
	is($ask->('a'), 503, 'and all over again');
};

subtest 'events' => sub {
	$up->reset;
	my $s = $c->open_stream($openai, stream('[[standin gate=2]]'), %key);
	ok($up->wait(gated => 1), 'it waits at the gate');
	ok($s->read_until(qr/couple/, 2), 'two pieces are there');
	ok(!$s->read_piece(0.1) && !$s->ended, 'and no more');
	$up->release;
	is($s->slurp->ended, 'complete', 'until it is let go');
	$s = $c->open_stream($openai, stream('[[standin silence=1]]'), %key);
	$s->read_until(qr/Dear/, 2);
	$s->close;
	ok($up->wait(cancelled => 1), 'a caller who leaves is counted');
	$up->next(2, 'status=418');
	is_deeply([map { $c->post($openai, call('x'), %key)->status } 1 .. 3], [418, 418, 200], 'the next two calls as told');
	my $counts = $up->counts;
	is_deeply([@{$counts}{qw(requests plain streams finished failed cancelled open gated)}], [5, 3, 2, 2, 2, 1, 0, 0], 'the counters');
	is_deeply($counts->{by_status}, {200 => 3, 418 => 2}, 'by status');
	is($up->last_body->{model}, 'gpt-4o-mini', 'the last call');
	is($up->last->{headers}{authorization}, 'given', 'without its key');
};

subtest 'a record of each call' => sub {
	my $recording = Harness->new(start => 0, standin_args => ['--record']);
	$recording->start_standin;
	my $client = Harness::Client->new(port => $recording->standin->port);
	my $call = sub { my ($id, $data, $key) = @_; return $client->post($openai, $data, key => $key // $recording->{upstream_key}, headers => {'X-Client-Request-Id' => $id}) };
	$call->('whole', stream('[[standin pieces=3 prompt=9 cached=2 tokens=17 nostamp]]'));
	$call->('silent about its usage', call('[[standin nousage text=four]]'));
	$call->('cut', stream('x [[standin cut=1 nostamp]]'));
	$call->('refused', call('x'), 'wrong key');
	$call->('failed', call('[[standin status=500]]')) for 1 .. 2;
	my $calls = $recording->standin->calls;
	is_deeply [@{$calls->{whole}[0]}{qw(how status stream pieces text_bytes prompt cached completion told)}], [qw(finished 200 1 3 18 9 2 17 1)], 'whole';
	is_deeply [@{$calls->{'silent about its usage'}[0]}{qw(how text_bytes prompt completion told)}], [qw(finished 4 0 0 0)], 'without usage';
	is_deeply [@{$calls->{cut}[0]}{qw(how text_bytes said_bytes told)}], [qw(failed 5 27 0)], 'cut';
	is $calls->{refused}[0]{how}, 'refused', 'one that was no call';
	is_deeply [map { $_->{status} } @{$calls->{failed}}], [500, 500], 'two of one id';
	is_deeply $up->calls, {}, 'none where it was not asked for';
};

subtest 'TLS' => sub {
	my $tls = Harness->new(start => 0, tls => 1);
	$tls->start_standin;
	is($tls->standin->counts->{requests}, 0, 'it answers');
};

done_testing;
