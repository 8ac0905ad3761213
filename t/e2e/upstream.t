# An upstream that refuses, fails, stays silent, breaks off or talks nonsense: a problem of the catalogue for the caller, a truthful row in the ledger, and nothing
# of its words anywhere.
use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;
use Harness;
use Wedding qw(email form directive problem no_leak);

my $h = Harness->new(web => 'lighttpd', settings => {request_terminate_timeout => '2s', 'upstream.idle_timeout' => '1s'});
my $s = $h->supplier('enterprise');
my %sse = (headers => {Accept => 'text/event-stream'});

sub row_of {
	my ($answer) = @_;
	my ($row) = $h->ledger(request_id => $answer->header('X-Request-Id'));
	return $row // {};
}

# words, status, code, whether the provider may have billed anything
my @plain = (
	['status=401',               502, 'upstream_error',   0],
	['status=429 retry_after=7', 503, 'upstream_busy',    0],
	['status=500',               503, 'upstream_unavailable', 0],
	['status=400',               502, 'upstream_error',   0],
	['silence',                  504, 'upstream_timeout', 1],
	['cut=3',                    502, 'upstream_error',   1],
	['garbage=0',                502, 'upstream_error',   1],
);

for (@plain) {
	my ($words, $status, $code, $spent) = @$_;
	subtest "plain: $words" => sub {
		my $r = $h->post($Wedding::EMAIL, email(directive($words)), key => $s->{key});
		problem $r, $status, $code, 'the problem';
		is $r->header('Retry-After'), 7, "the upstream's Retry-After is passed on" if $words =~ /retry_after/;
		my $row = row_of($r);
		is $row->{state}, 'failed', 'the row says failed';
		ok !$row->{success}, 'no success';
		is $row->{error_message}, $code, 'and why';
		is $row->{estimated} ? 1 : 0, $spent, $spent ? 'what may have been used is charged by the estimate' : 'nothing was used';
		is $row->{cost_cents} > 0 ? 1 : 0, $spent, $spent ? 'a cost' : 'no cost';
		no_leak($h, $r, $words);
	};
}

my @streamed = (
	['status=500',         503, 'upstream_unavailable', 'before the first byte'],
	['status=401',         502, 'upstream_error',   'before the first byte'],
	['silence',            504, 'upstream_timeout', 'before the first byte'],
	['pieces=8 cut=3',     200, 'upstream_error',   'after it'],
	['pieces=8 reset=3',   200, 'upstream_error',   'after it'],
	['pieces=8 end=3',     200, 'upstream_error',   'after it'],
	['pieces=8 garbage=3', 200, 'upstream_error',   'after it'],
	['pieces=8 error=3',   200, 'upstream_error',   'after it'],
	['pieces=8 silence=3', 200, 'upstream_timeout', 'after it'],
);

for (@streamed) {
	my ($words, $status, $code, $when) = @$_;
	subtest "events: $words, $when" => sub {
		my $r = $h->post($Wedding::EMAIL, email(directive($words), stream => JSON::PP::true), key => $s->{key}, %sse);
		if ($status != 200) {
			problem $r, $status, $code, 'the problem';
		} else {
			is $r->status, 200, 'bytes had gone out';
			my @events = grep { !exists $_->{comment} } $r->events;
			is $events[-1]{event}, 'error', 'the last event is an error';
			my $problem = decode_json($events[-1]{data});
			is $problem->{code}, $code, 'of the catalogue';
			is $problem->{requestId}, $r->header('X-Request-Id'), 'with the request id';
			is scalar(grep { $_->{event} eq 'done' } @events), 0, 'and none says done';
			is $r->ended, 'complete', 'the stream is ended in good form';
		}
		my $row = row_of($r);
		is $row->{state}, 'failed', 'the row says failed';
		is $row->{error_message}, $code, 'and why';
		my $id = $r->header('X-Request-Id');
		ok $h->await_log(qr/ id=$id .* detail=silence /), 'the log says that it was the silence, not the deadline' if $words =~ /silence/;
		if ($status == 200) {
			cmp_ok $row->{completion_tokens}, '>', 0, 'what was delivered is charged';
			ok $row->{estimated}, 'by the estimate';
		}
		no_leak($h, $r, $words);
	};
}

subtest 'a plain text stream that breaks off says so' => sub {
	my $r = $h->post($Wedding::EMAIL, email(directive('pieces=8 cut=3'), stream => JSON::PP::true), key => $s->{key});
	is $r->status, 200, 'bytes had gone out';
	my $id = $r->header('X-Request-Id');
	like $r->body, qr/\[upstream_error: .* Request \Q$id\E\]\n\z/, 'the last line says so';
};

subtest 'no usage reported: the estimate, marked as one' => sub {
	for my $stream (0, 1) {
		my $r = $h->post($Wedding::EMAIL, email(directive('nousage nostamp text=twenty bytes of text'), $stream ? (stream => JSON::PP::true) : ()), key => $s->{key},
			%sse);
		is $r->status, 200, 'an answer';
		my $row = row_of($r);
		is $row->{state}, 'settled', 'settled';
		ok $row->{estimated}, 'estimated';
		is $row->{completion_tokens}, 5, 'a token for each four bytes';
		my ($done) = grep { ($_->{event} // '') eq 'done' } $r->events;
		my $usage = $stream ? decode_json($done->{data})->{usage} : $r->json->{usage};
		is $usage->{tokensUsed}, $row->{tokens_used}, 'the answer says the tokens that are charged';
		cmp_ok $usage->{costCents}, '==', $row->{cost_cents}, 'and the cost';
	}
};

subtest 'a whole answer is charged as the provider reports it, also where that is nothing' => sub {
	my $row = row_of($h->post($Wedding::EMAIL, email(directive('prompt=7 tokens=0 text=twenty bytes of text')), key => $s->{key}));
	is "$row->{state} $row->{prompt_tokens} $row->{completion_tokens}", 'settled 7 0', 'as it was reported';
	ok !$row->{estimated}, 'no estimate';
};

subtest 'an answer without a word, that its model did not end so, is none' => sub {
	for my $finish (qw(length content_filter tool_calls)) {
		my $words = "finish=$finish tokens=40 prompt=7 nostamp text=";
		my $plain = $h->post($Wedding::EMAIL, email(directive($words)), key => $s->{key});
		problem $plain, 502, 'invalid_generation', "$finish: plain";
		problem $h->post($Wedding::EMAIL, email(directive($words), stream => JSON::PP::true), key => $s->{key}), 502, 'invalid_generation', "$finish: a stream";
		my $row = row_of($plain);
		is "$row->{state} $row->{error_message} $row->{completion_tokens}", 'failed invalid_generation 40', 'the row says so, and what it used is charged';
	}
	my $r = $h->post($Wedding::EMAIL, email(directive('finish=stop nostamp text=')), key => $s->{key});
	is $r->status, 200, 'one that ends with nothing to say is an answer';
	is $r->json->{template}, '', 'of nothing';
};

subtest 'a generation that breaks its schema' => sub {
	for my $words ('json={"title": 7}', 'text=no JSON at all') {
		my $r = $h->post($Wedding::FORM, form(directive($words)), key => $h->supplier('enterprise')->{key});
		problem $r, 502, 'invalid_generation', $words;
		my $row = row_of($r);
		is $row->{state}, 'failed', 'failed';
		cmp_ok $row->{cost_cents}, '>', 0, 'but what it used is charged';
		ok !$row->{estimated}, 'as the provider reported it';
	}
};

subtest 'an upstream that cannot be reached costs nothing' => sub {
	$h->standin->stop;
	my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
	problem $r, 503, 'upstream_unreachable', 'the problem';
	my $row = row_of($r);
	is $row->{state}, 'failed', 'failed';
	is $row->{cost_cents} + 0, 0, 'void: nothing was sent';
	is $row->{tokens_used}, 0, 'no tokens';
};

# An upstream of one call that streams these events, and then hangs up, or stays on the line without a word: its port and process.
sub one_call {
	my ($stays, @events) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no upstream: $@";
	my $pid = fork // die "fork: $!";
	return ($listener->sockport, $pid) if $pid;
	my $caller = $listener->accept;
	my $heard = '';
	1 while $heard !~ /\r\n\r\n.*"stream":true/s && sysread $caller, $heard, 4096, length $heard;
	syswrite $caller, "HTTP/1.1 200 OK\r\n\r\n" . join '', map { "data: $_\n\n" } @events;
	sysread $caller, $heard, 1 if $stays;
	POSIX::_exit(0);
}

# What that upstream's caller gets, and the row.
sub streamed_from {
	my ($port, $pid) = one_call(@_);
	my $other = Harness->new(web => 'lighttpd', standin => 0, cluster => $h->cluster, settings => {
		request_terminate_timeout => '1s', 'openai.base_url' => "http://127.0.0.1:$port/v1", 'openai.api_key' => 'sk-one-call',
	});
	my $r = $other->post($Wedding::EMAIL, email(undef, stream => JSON::PP::true), key => $s->{key}, %sse);
	waitpid $pid, 0;
	return ($r, row_of($r));
}

subtest 'a whole answer is one, though its stream stays open until the deadline' => sub {
	my ($r, $row) = streamed_from(1, '{"choices":[{"delta":{"content":"Dear couple"},"finish_reason":"stop"}]}',
		'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}');
	my ($text, $last) = grep { exists $_->{data} } $r->events;
	is decode_json($text->{data})->{text}, 'Dear couple', 'the text';
	is $last->{event}, 'done', 'and its end' or diag $r->body;
	is "$row->{state} $row->{completion_tokens}", 'settled 2', 'settled as it was reported';
};

my $piece = '{"choices":[{"delta":{"content":"twenty bytes of text"}}]}';
my $counted = sub { sprintf '{"choices":[{"delta":{"content":"%s"}}],"usage":{"prompt_tokens":7,"completion_tokens":%d}}', @_ };

subtest 'what an early report did not count is charged by the estimate' => sub {
	for (['the first piece alone', $counted->('', 0), $piece], ['each piece, nothing of the text', $counted->('', 0), $counted->('twenty bytes of text', 0)]) {
		my ($which, @events) = @$_;
		my ($r, $row) = streamed_from(0, @events);
		is $row->{state}, 'failed', "a report with $which, and the stream breaks";
		is $row->{completion_tokens}, 5, 'a token for each four bytes delivered';
		ok $row->{estimated}, 'marked as the estimate';
	}
	my ($r, $row) = streamed_from(0, $counted->('', 0), $counted->('twenty bytes of text', 6));
	is "$row->{prompt_tokens} $row->{completion_tokens}", '7 6', 'one that counted all that was delivered is charged as it stands';
	ok !$row->{estimated}, 'no estimate';
};

is $h->value("select count(*) from ai_usage_tracking where state = 'reserved'"), 0, 'no row is without an end';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
