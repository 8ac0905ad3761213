# The status page counts what was done, in each of its forms alike.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(await);
use Wedding qw(email form directive);

my $h = Harness->new(web => 'lighttpd');
my $s = $h->supplier('enterprise');
my %key = (key => $s->{key});
my $sse = {Accept => 'text/event-stream'};

sub streamed { return (@_, stream => JSON::PP::true) }

# What workers counted is on the page within a second.
sub numbers {
	my $page = $h->request('GET', '/api/ai/status?json')->json;
	return {map { $_ => $page->{$_} } qw(requests streams cache_hits refused failed aborted)};
}

my $same = email(directive('nostamp'));
$h->post($Wedding::EMAIL, $same, %key) for 1 .. 3;                                                # two of them from the cache
$h->post($Wedding::EMAIL, {streamed(%$same)}, %key, headers => $sse) for 1 .. 2;                  # a cached one, streamed, is both
$h->post($Wedding::EMAIL, {streamed(%{email(directive('pieces=3'))})}, %key) for 1 .. 4;          # text/plain
$h->post($Wedding::EMAIL, email(directive('status=500')), %key);
$h->post($Wedding::EMAIL, {streamed(%{email(directive('status=500'))})}, %key, headers => $sse);  # not a byte of it was streamed
$h->post($Wedding::EMAIL, {streamed(%{email(directive('pieces=4 cut=2'))})}, %key, headers => $sse);
$h->post($Wedding::EMAIL, '{', %key);
$h->post($Wedding::EMAIL, email(), key => 'pfk_none');
$h->post('/api/ai/none', {}, %key);
my $stream = $h->open_stream($Wedding::EMAIL, {streamed(%{email(directive('pieces=4 gate=2'))})}, %key, headers => $sse);
ok $stream->read_until(qr/(<t=\d+>.*?){2}/s, 5), 'a stream is under way';
undef $stream;
$h->ended_rows(13, supplier_id => $s->{id});

my $want = {requests => 16, streams => 8, cache_hits => 4, refused => 3, failed => 3, aborted => 1};
my $got;
ok await(sub { $got = numbers(); !grep { $got->{$_} != $want->{$_} } keys %$want }, 5), 'JSON' or diag explain $got;
my ($text, $metrics) = map { $h->request('GET', "/api/ai/status$_")->body } '', '?metrics';
for my $name (sort keys %$want) {
	like $text, qr/^$name: +$want->{$name}$/m, "text: $name";
	like $metrics, qr/^promptfpm_${name}_total\{pool="www"\} $want->{$name}$/m, "metrics: $name";
}
$h->daemon->signal('HUP');
ok await(sub { $h->request('GET', '/api/ai/status?json')->json->{reloads} == 1 }, 10), 'after a reload';
is_deeply numbers(), $want, 'they are the same';

done_testing;
