# A cost of 0.005650 cents is billed as that: a thousand such calls are 5.65 cents, in every answer, in the ledger, and in what callers and operators are told.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Crowd;
use Wedding qw(email directive);

my $h = Harness->new(web => 'lighttpd', settings => {default_model => 'openai/gpt-5-mini'});
my $s = $h->supplier('enterprise');

# 26 tokens in at 0.000025 cents, 25 out at 0.0002. A third plain, a third as events, a third as text.
my $client = $h->client;
my @requests = map {
	my %stream = $_ % 3 ? (stream => JSON::PP::true) : ();
	my %headers = $_ % 3 == 1 ? (headers => {Accept => 'text/event-stream'}) : ();
	{to => $client, text => $client->compose_post($Wedding::EMAIL, email(directive('prompt=26 tokens=25 pieces=2'), %stream), key => $s->{key}, %headers), told => $_ % 3 != 2}
} 1 .. 1000;
my @lines = Harness::Crowd->start(processes => 2, callers => 16, requests => \@requests, tell => sub {
	my ($request, $answer) = @_;
	return ($answer->status, $answer->ended, $request->{told} ? $answer->body =~ /"costCents":([^,}]*)/ : 'not said');
})->finish;
my %by;
$by{join ' ', @{$_}[1 .. 3]}++ for @lines;
is_deeply \%by, {'200 complete 0.00565' => 667, '200 complete not said' => 333}, 'a thousand answers, of 0.00565 cents each' or diag explain \%by;
is $h->standin->counts->{requests}, 1000, 'a thousand calls';

is_deeply $h->dbh->selectcol_arrayref('select distinct cost_cents::text from ai_usage_tracking'), ['0.00565'], 'each row of the ledger says so';
my %sum = (
	'the ledger' => 'select trim_scale(sum(cost_cents))::text from ai_usage_tracking',
	'the month of the plan' => 'select trim_scale(month_cost)::text from fpm.counters',
	'the invoice' => "select trim_scale(cost_cents)::text from fpm.invoice((now() at time zone 'UTC')::date)",
	'the operator\'s report' => 'select trim_scale(cost_cents)::text from fpm.usage()',
);
is_deeply $h->dbh->selectcol_arrayref($sum{$_}), ['5.65'], "$_ says 5.65" for sort keys %sum;
my $report = $h->request('GET', '/api/ai/usage', {Authorization => "Bearer $s->{key}"});
like $report->body, qr/"total": ?\{[^}]*"costCents": ?5\.65[,}]/, 'the caller\'s report says 5.65';
like $h->ctl_ok('usage'), qr/\b5\.65\b/, 'promptctl usage says 5.65';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
