# GET /api/ai/usage: a caller's own figures, exactly those of the ledger, and nobody else's.
use strict;
use warnings;

use Test::More;
use Harness;
use Wedding qw(email directive problem);

my $h = Harness->new(web => 'lighttpd');
my $organization = $h->value('select gen_random_uuid()');
my ($ann, $bob) = map { $h->supplier('starter', organization => $organization) } 1 .. 2;
my $eve = $h->supplier('starter');
my $usage = '/api/ai/usage';

sub report {
	my ($who, $query) = @_;
	return $h->request('GET', $usage . ($query // ''), {Authorization => "Bearer $who->{key}"});
}

my $again = email(directive('prompt=17 tokens=91'));
$h->post($Wedding::EMAIL, $again, key => $ann->{key}) for 1 .. 2;
$h->post($Wedding::EMAIL, email(directive('status=500')), key => $ann->{key});
$h->post($Wedding::EMAIL, email(directive('prompt=17 tokens=91')), key => $bob->{key});

my $r = report($ann);
is $r->status, 200, 'an answer' or diag $r->body;
like $r->header('Content-Type'), qr{^application/json}, 'of JSON';
my $total = $r->json->{total};
is $total->{requests}, 3, 'three calls: one whole, one from the cache, one that failed';
is $total->{cached}, 1, 'one of them from the cache';
is $total->{failed}, 1, 'one failed';
is $total->{tokens}, 108, 'the tokens of one';
like $r->body, qr/"costCents": ?0\.005715\b/, 'its cost, exactly';
is $total->{tokensSaved}, 108, 'what the cache saved';
my ($limit) = grep { $_->{feature} eq 'email_template' } @{$r->json->{limits}};
is "$limit->{dayLeft} of $limit->{dayLimit}", '3 of 5', 'the failed call gave its place back';

is report($eve)->json->{total}{requests}, 0, "another supplier's figures are his own";
is report($ann, '?scope=organization')->json->{total}{requests}, 4, 'the organisation has the calls of both';
is report($eve, '?scope=organization')->json->{total}{requests}, 0, 'and is nobody else\'s';
is report($ann, '?from=2020-01-01&to=2020-01-31')->json->{total}{requests}, 0, 'other days';

problem $h->request('GET', $usage, {}), 401, 'unauthenticated', 'no key';
problem $h->request('GET', "${usage}s", {Authorization => "Bearer $ann->{key}"}), 404, 'not_found', 'another path';
is report($ann, '?fromage=gouda')->status, 200, 'a parameter that only begins like one';
problem report($ann, "?$_"), 400, 'invalid_input', "a bad parameter: $_" for qw(from=2026-11-02&to=2026-11-01 from=yesterday to=2026-02-30 from=2026-1-1 scope=everybody);
ok $h->await_log(qr/ method=GET path=\Q$usage\E .*status=$_ /), "a line in the log says that it was asked for: $_" for 200, 401;
$r = $h->post($usage, {}, key => $ann->{key});
problem $r, 405, 'method_not_allowed', 'POST';
is $r->header('Allow'), 'GET, HEAD', 'it takes GET';
$r = $h->request('HEAD', $usage, {Authorization => "Bearer $ann->{key}"});
is $r->status, 200, 'and HEAD';
is $r->body, '', 'without a body';
is $h->value('select count(*) from ai_usage_tracking'), 4, 'a report is no call';

# Far more lines than anybody has; here a few with very long names.
sub fatten {
	my ($from, $to) = @_;
	$h->dbh->do(q{insert into fpm.usage_daily (supplier_id, day, feature_type, model_used, requests)
		select ?, '2020-01-01', repeat('f', 100000) || g, 'm', 1 from generate_series(?::int, ?::int) g}, undef, $eve->{id}, $from, $to);
}
fatten(1, 280);
$r = report($eve, '?from=2020-01-01&to=2020-01-31');
is $r->status, 200, 'a report of megabytes';
is $r->ended, 'complete', 'is whole';
is $r->json->{total}{requests}, 280, 'with all that was used';
fatten(281, 600);
$r = report($eve, '?from=2020-01-01&to=2020-01-31');
is $r->status . ' ' . $r->ended, '503 complete', 'of one that does not fit into memory';
ok $r->json->{code}, 'it is said in form';
$h->cluster->stop('fast');
problem report($ann), 503, 'database_unavailable', 'without the database';

done_testing;
