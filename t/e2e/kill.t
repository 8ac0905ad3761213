# A worker is killed in the middle of streams: replaced at once, its rows ended by the sweep, ledger and counters equal.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(await now);
use Wedding qw(email directive);

my $h = Harness->new(web => 'lighttpd', settings => {'pm.max_children' => 2});
my $s = $h->supplier('professional');
my @before = $h->workers;
is scalar @before, 2, 'two workers';

my @streams = map {
	$h->open_stream($Wedding::EMAIL, email(directive('pieces=8 gate=2 prompt=10 tokens=20'), stream => JSON::PP::true), key => $s->{key},
		headers => {Accept => 'text/event-stream'})
} 1 .. 8;
ok $_->read_until(qr/(<t=\d+>.*?){2}/s, 5), 'a stream is under way' for @streams;
is $h->value("select count(*) from ai_usage_tracking where state = 'reserved'"), 8, 'eight rows are open';
my %worker_of = map { $_->{request_id} => $_->{worker} } $h->ledger(supplier_id => $s->{id});
my ($victim) = map { /:(\d+):/ } values %worker_of;

my $killed = now();
kill 'KILL', $victim;
ok await(sub { my @now = $h->workers; @now == 2 && !grep { $_ == $victim } @now }, 5), 'it is replaced';
diag sprintf 'replaced %.0f ms after the kill', (now() - $killed) * 1000;

my $lost = scalar grep { /:$victim:/ } values %worker_of;
note "$lost of 8 streams were the victim's";
ok await(sub { $h->value("select count(*) from ai_usage_tracking where state = 'expired'") == $lost }, 10), "the sweep ends the victim's rows";
is $h->value("select count(*) from ai_usage_tracking where state = 'reserved'"), 8 - $lost, "and not the others'";

$h->standin->release;
my %ended;
for my $stream (@streams) {
	$stream->slurp;
	my $mine = $worker_of{$stream->header('X-Request-Id')} =~ /:$victim:/;
	like $stream->body, qr/event: done/, "a stream of the other worker ends well" if !$mine;
	unlike $stream->body, qr/event: done/, "a stream of the victim does not" if $mine;
}
my @rows = $h->ended_rows(8, supplier_id => $s->{id});
for my $row (@rows) {
	if ($row->{worker} =~ /:$victim:/) {
		is $row->{state}, 'expired', 'expired';
		ok $row->{estimated}, 'charged by the estimate, marked as one';
		cmp_ok $row->{cost_cents}, '>', 0, 'not refunded';
	} else {
		is $row->{state}, 'settled', 'settled';
		is $row->{tokens_used}, 30, 'by what the provider reported';
	}
}
my ($status, $out, $err) = $h->ctl('audit');
is $status, 0, 'promptctl audit finds ledger and counters equal' or diag "$out$err";
is $h->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'the new worker serves';

done_testing;
