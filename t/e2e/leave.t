# A caller who leaves in the middle of a stream is noticed, the upstream's call is cancelled, and what was delivered is billed.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(now patience);
use Wedding qw(email directive);

my $h = Harness->new(web => 'lighttpd', settings => {heartbeat => '1s'});
my %web = (lighttpd => $h->web, apache => $h->start_web('apache'));
my $s = $h->supplier('enterprise');
my %limit = (lighttpd => 0.5, apache => 1); # behind Apache: a heartbeat

for my $kind (sort keys %web) {
	subtest "behind $kind" => sub {
		my $cancelled = $h->standin->counts->{cancelled};
		my $stream = $h->client($web{$kind})->open_stream($Wedding::EMAIL, email(directive('pieces=40 gate=5'), stream => JSON::PP::true),
			key => $s->{key}, headers => {Accept => 'text/event-stream'});
		ok $stream->read_until(qr/(<t=\d+>.*?){5}/s, 5), 'five pieces came';
		my $left = now();
		$stream->close;
		ok $h->standin->wait('cancelled', $cancelled + 1, 10), 'the upstream\'s call is cancelled';
		my $took = now() - $left;
		diag sprintf '%s: cancelled %.0f ms after the caller left', $kind, $took * 1000;
		cmp_ok $took, '<=', patience($limit{$kind}), 'in time';
		my ($row) = $h->ended_rows(1, request_id => $stream->header('X-Request-Id'));
		is $row->{state}, 'aborted', 'the row says aborted';
		ok !$row->{success}, 'no success';
		ok $row->{estimated}, 'billed by the estimate';
		my $text = join '', map { $_->{data} && $_->{event} eq 'message' ? decode_json($_->{data})->{text} : () } $stream->events;
		is $row->{completion_tokens}, int((length($text) + 3) / 4), 'of what was delivered';
		cmp_ok $row->{prompt_tokens}, '>', 0, 'and the prompt';
		cmp_ok $row->{cost_cents}, '>', 0, 'at a cost';
	};
}

subtest 'a plain text stream' => sub {
	my $cancelled = $h->standin->counts->{cancelled};
	my $stream = $h->open_stream($Wedding::EMAIL, email(directive('pieces=200 delay_ms=20'), stream => JSON::PP::true), key => $s->{key});
	ok $stream->read_until(qr/(<t=\d+>.*?){5}/s, 5), 'five pieces came';
	$stream->close('reset');
	ok $h->standin->wait('cancelled', $cancelled + 1, 10), 'the upstream\'s call is cancelled';
	my ($row) = $h->ended_rows(1, request_id => $stream->header('X-Request-Id'));
	is $row->{state}, 'aborted', 'the row says aborted';
};

subtest 'a plain answer runs on, is settled and cached' => sub {
	my $body = email(directive('gate=0 tokens=9'));
	my $requests = $h->standin->counts->{requests};
	my $answer = $h->begin($Wedding::EMAIL, $body, key => $s->{key});
	ok $h->standin->wait('gated', 1, 10), 'the upstream is at work';
	$answer->close;
	$h->standin->release;
	my ($row) = grep { $_->{completion_tokens} == 9 } $h->ended_rows(1, supplier_id => $s->{id});
	is $row->{state}, 'settled', 'settled by the true usage';
	my $again = $h->post($Wedding::EMAIL, $body, key => $s->{key});
	ok $again->json->{usage}{fromCache}, 'who asks again gets it from the cache';
};

is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
