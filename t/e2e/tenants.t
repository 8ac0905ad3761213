# Two tenants over HTTP: of what one asks, is answered and uses, the other can neither read anything nor find it out by asking.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Wedding qw(email form directive problem);

my $h = Harness->new(web => 'lighttpd');
my @organizations = map { $h->value('select gen_random_uuid()') } 1, 2;
my ($ann, $ben) = map { $h->supplier('enterprise', organization => $organizations[0]) } 1, 2; # colleagues
my $zoe = $h->supplier('enterprise', organization => $organizations[1]);
my ($sue, $sam) = map { $h->supplier('enterprise') } 1, 2; # of no organisation
my $count = 0;

sub ask {
	my ($who, $path, $data, %headers) = @_;
	return $h->post($path, $data, key => $who->{key}, headers => \%headers);
}

sub cached { return $_[0]->json->{usage}{fromCache} ? 'cached' : 'new' }

# Endpoints of each scope, and one that says nothing of it.
my @scopes = qw(supplier organization shared off);
for my $scope (@scopes, '') {
	Harness::Web::spew($h->docroot . "/scope-$scope.prompt", "---\ninput: { schema: { words: string } }\nfpm.feature: content_creation\nfpm.answer: text\n"
		. ($scope ? "fpm.cache: { scope: $scope }\n" : '') . "---\n{{role \"user\"}}Write about {{words}}.\n");
}

subtest 'cached answers' => sub {
	my %expected = ( # the same question of Ann, again, of her colleague, of Zoe, of two without an organisation
		supplier => 'new cached new new new new', organization => 'new cached cached new new new', shared => 'new cached cached cached cached cached',
		off => 'new new new new new new', '' => 'new cached new new new new');
	for my $scope (sort keys %expected) {
		my $question = {words => "a wedding of whom only Ann knows, $scope $$"};
		my @answers = map { ask($_, "/scope-$scope.prompt", $question) } $ann, $ann, $ben, $zoe, $sue, $sam;
		is join(' ', map { $_->status == 200 ? cached($_) : $_->status } @answers), $expected{$scope}, $scope || 'an endpoint that says nothing';
		next if $scope eq 'shared';
		my %ids = map { $_->header('X-Request-Id') => 1 } @answers;
		is scalar keys %ids, 6, 'each is a request of its own';
	}
	for my $path ($Wedding::EMAIL, '/api/ai/generate-content') {
		my $body = $path eq $Wedding::EMAIL ? email() : {contentType => 'blog post', topic => "Ann's couple $$", audience => 'couples', tone => 'warm'};
		is join(' ', map { cached(ask($_, $path, $body)) } $ann, $ann, $zoe), 'new cached new', "$path, as it is shipped";
	}
};

subtest 'idempotency keys' => sub {
	my @request = ($Wedding::EMAIL, email());
	my %key = ('Idempotency-Key' => '"the same"');
	my $first = ask($ann, @request, %key);
	is ask($ann, @request, %key)->header('Idempotency-Replayed'), 'true', 'Ann gets hers again';
	for ($ben, $zoe) {
		my $other = ask($_, @request, %key);
		is $other->header('Idempotency-Replayed'), undef, 'another makes a request of his own';
		isnt $other->header('X-Request-Id'), $first->header('X-Request-Id'), 'with an id of his own';
	}
	is ask($zoe, $Wedding::EMAIL, email(), 'Idempotency-Key' => '"another of Ann\'s"')->status, 200, 'no key of another stands in the way';
};

subtest 'usage' => sub {
	my $before = {};
	my $report = sub {
		my ($who, $query) = @_;
		return $h->request('GET', "/api/ai/usage$query", {Authorization => "Bearer $who->{key}"});
	};
	my @queries = ('', '?scope=organization', '?scope=supplier', '?from=2000-01-01&to=2100-01-01', '?from=2000-01-01&to=2100-01-01&scope=organization',
		"?supplier=$ann->{id}", "?organization=$organizations[0]&scope=organization", "?scope=organization&supplier_id=$ann->{id}");
	$before->{$_} = $report->($zoe, $_)->body for @queries;
	ask($ann, $Wedding::EMAIL, email(directive('prompt=12345 tokens=54321')));
	ask($ben, '/api/ai/chat', {message => "hello $$"});
	for my $query (@queries) {
		my $after = $report->($zoe, $query);
		is $after->status, 200, "a report: $query";
		is $after->body, $before->{$query}, 'in which nothing that others did has changed anything';
		my $mine = $h->value("select coalesce(sum(cost_cents), 0) from ai_usage_tracking where supplier_id = ?", $zoe->{id});
		ok $h->value('select ?::numeric = ?::numeric', JSON::PP->new->utf8->allow_bignum->decode($after->body)->{total}{costCents} . '', $mine), 'but what is Zoe\'s own';
		my @found = grep { index($after->body, $_) >= 0 } map({ $_->{id} } $ann, $ben, $zoe), @organizations;
		is_deeply \@found, [], 'and that names nobody';
	}
	my $organization = $report->($ben, '?scope=organization')->json->{total}{requests};
	is $organization, $h->value('select count(*) from ai_usage_tracking where organization_id = ?', $organizations[0]), 'a colleague is told what their organisation used';
	is $report->($sue, '?scope=organization')->json->{total}{requests}, $h->value('select count(*) from ai_usage_tracking where supplier_id = ?', $sue->{id}),
		'without an organisation, one\'s own: not that of all who have none';
};

subtest 'what can be named' => sub {
	my $mine = ask($ann, $Wedding::EMAIL, email())->header('X-Request-Id');
	for my $header ('X-Request-Id', 'X-Correlation-Id', 'Request-Id') {
		my $answer = ask($zoe, $Wedding::EMAIL, email(), $header => $mine);
		isnt $answer->header('X-Request-Id'), $mine, "a request id is given, not taken: $header";
	}
	is $h->value('select count(*) from ai_usage_tracking where request_id = ?', $mine), 1, 'and is of one row';
	problem $h->post($Wedding::EMAIL, email(), headers => {'X-Api-Key' => $ann->{id}}), 401, 'unauthenticated', 'who knows an id has no key';
	my $answer = ask($zoe, $Wedding::EMAIL, {%{email()}, supplier_id => $ann->{id}, supplierId => $ann->{id}}, 'X-Supplier-Id' => $ann->{id});
	my @rows = $h->ended_rows(1, supplier_id => $zoe->{id});
	ok $answer->status == 400 || $rows[-1]{request_id} eq $answer->header('X-Request-Id'), 'nor does naming another make one that other';
	my %ids = map { ask($ann, '/api/ai/chat', {message => "hello $$ $_"})->header('X-Request-Id') => 1 } 1 .. 20;
	my %prefixes = map { substr($_, 4, 8) => 1 } keys %ids;
	is scalar keys %prefixes, 20, 'request ids do not follow from each other';
};

subtest 'limits' => sub {
	my ($one, $two) = map { $h->supplier('starter') } 1, 2;
	my @status = map { ask($one, '/api/ai/chat', {message => "hello $one->{id} $_"})->status } 1 .. 3;
	is "@status", '200 200 429', 'one uses up its day';
	is ask($two, '/api/ai/chat', {message => "hello $two->{id}"})->status, 200, 'which is not the other\'s';
	my @rates = map { my $who = $_; [map { ask($who, $Wedding::FORM, form())->header('RateLimit') } 1, 2] } $ann, $zoe;
	is_deeply [map { s/;t=\d+//r } @{$rates[0]}], [map { s/;t=\d+//r } @{$rates[1]}], 'nor is a rate';
};

unlike $h->log_text, qr/only Ann knows|Ann's couple/, 'the log holds nobody\'s words';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
