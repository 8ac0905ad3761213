# 200 requests at once by one starter supplier for one feature: exactly the day's 5 get through, over several workers.
use strict;
use warnings;

use Test::More;
use Harness;
use Wedding qw(email problem);

my $h = Harness->new(web => 'lighttpd', settings => {'pm.max_children' => 4, 'pm.threads' => 64});
my $s = $h->supplier('starter');
my @answers = $h->client->together(map { [$Wedding::EMAIL, email(), key => $s->{key}] } 1 .. 200);

my %by;
$by{$_->status}++ for @answers;
is_deeply \%by, {200 => 5, 429 => 195}, 'five get through, the others are told to wait' or diag explain \%by;
is $h->standin->counts->{requests}, 5, 'the upstream saw five';
my ($refused) = grep { $_->status == 429 } @answers;
problem $refused, 429, 'daily_limit', 'a refusal';
my $midnight = 86400 - time % 86400;
cmp_ok abs($refused->header('Retry-After') - $midnight), '<=', 60, 'Retry-After is until midnight';
like $refused->json->{error}, qr/tomorrow/, 'it says to try again tomorrow';
my @rows = $h->ended_rows(5, supplier_id => $s->{id});
is scalar @rows, 5, 'the ledger has five rows: refusals are none';
my %workers = map { $_->{worker} => 1 } @rows;
note 'workers that admitted: ' . keys %workers;
ok Harness::Process::await(sub { ($h->value('select coalesce(sum(count), 0) from fpm.refusals where supplier_id = ?', $s->{id}) // 0) == 195 }, 10),
	'195 refusals are counted';

my $other = $h->supplier('starter');
is $h->post($Wedding::EMAIL, email(), key => $other->{key})->status, 200, "another supplier's limit is another";
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

my @status = map { $_->status } $h->client->together(map { ['/api/ai/chat', {message => "hello $_"}, key => $s->{key}] } 1 .. 20);
is scalar(grep { $_ == 200 } @status), 2, 'a feature without a row for the tier has two a day';

my $longest = 'f' x 64;
Harness::Web::spew($h->docroot . '/long.prompt', "---\ninput: { schema: { n: integer } }\nfpm.feature: $longest\n---\nSay {{n}}.\n");
is $h->post('/long.prompt', {n => $_}, key => $other->{key})->status, $_ > 2 ? 429 : 200, "the longest name of a feature, call $_" for 1 .. 4;
ok Harness::Process::await(sub { ($h->value('select sum(count) from fpm.refusals where supplier_id = ? and feature_type = ?', $other->{id}, $longest) // 0) == 2 }, 10),
	'its refusals are counted under its name';

done_testing;
