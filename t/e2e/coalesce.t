# Identical cacheable requests in flight at once, of many suppliers, over two daemons with two workers each on one database: one call to the provider, the others wait for its
# answer and are hits. Where the call fails or its caller leaves, they wait no longer.
use strict;
use warnings;

use Test::More;
use Harness;
use Harness::Process qw(await);
use Wedding qw(directive);

my $one = Harness->new(web => 'lighttpd', settings => {'pm.max_children' => 2, 'pm.threads' => 128});
my $two = Harness->new(web => 'lighttpd', cluster => $one->cluster, standin => 0, env => {OPENAI_API_KEY => $one->{upstream_key}},
	settings => {'pm.max_children' => 2, 'pm.threads' => 128, 'openai.base_url' => $one->standin->url . '/v1', 'openai.api_key' => '${OPENAI_API_KEY}'});
for ($one, $two) {
	Harness::Web::spew($_->docroot . '/poem.prompt', <<'END_OF_FILE');
---
input: { schema: { about: string, stream?: boolean } }
fpm.feature: content_creation
fpm.answer: poem
fpm.cache: { scope: shared, ttl: 1h }
---
{{role "user"}}A poem about {{about}}.
END_OF_FILE
}
my @suppliers = map { $one->supplier('enterprise') } 1 .. 10;

# So many requests in hand, in both daemons together.
sub active {
	my $n = 0;
	$n += $_->request("GET", "/api/ai/status?json", {})->json->{active} - 1 for $one, $two;
	return $n;
}

# Sends the same request so often, alternately to both, and returns the answers on their way.
sub ask {
	my ($count, $about, %more) = @_;
	return map {
		my $h = $_ % 2 ? $two : $one;
		$h->begin('/poem.prompt', {about => $about, %more}, key => $suppliers[$_ % @suppliers]{key});
	} 1 .. $count;
}

subtest 'one makes it for a hundred' => sub {
	my $before = $one->standin->counts->{requests};
	my @answers = ask(50, 'roses ' . directive('gate=0 pieces=4'));
	push @answers, ask(50, 'roses ' . directive('gate=0 pieces=4'), stream => JSON::PP::false); # renders the same
	ok $one->standin->wait(gated => 1), 'the provider has been asked';
	ok await(sub { active() >= 100 }, 10), 'all of them wait';
	$one->standin->release;
	my @status = map { $_->slurp(20)->status } @answers;
	is scalar(grep { $_ == 200 } @status), 100, 'all are answered';
	is $one->standin->counts->{requests} - $before, 1, 'with one call';
	my %texts = map { ($_->json // {})->{poem} // '' => 1 } @answers;
	is scalar(keys %texts), 1, 'the same';
	is scalar(grep { !$_->json->{usage}{fromCache} } @answers), 1, 'one paid for it';
	my @rows = $one->ended_rows(100, feature_type => 'content_creation');
	my %by;
	$by{$_->{state}}++ for @rows;
	is_deeply \%by, {settled => 1, cached => 99}, 'the others are hits, each with its row' or diag explain \%by;
	$one->value('select fpm.sweep(null)');
	is $one->value('select sum(cache_hits) from ai_response_cache'), 99, 'which the entries count';
	is +($one->ctl('audit'))[0], 0, 'and the audit finds all equal';
};

subtest 'the one that makes it fails' => sub {
	my $before = $one->standin->counts->{requests};
	my ($maker) = ask(1, 'thorns ' . directive('gate=1 pieces=4'), stream => JSON::PP::true);
	ok $one->standin->wait(gated => 1), 'one is at it';
	my @others = ask(8, 'thorns ' . directive('gate=1 pieces=4'), stream => JSON::PP::true);
	ok await(sub { active() >= 9 }, 10), 'others wait';
	is $one->standin->counts->{requests} - $before, 1, 'without a call of their own';
	$maker->close;
	ok $one->standin->wait(cancelled => 1), 'its caller leaves';
	ok await(sub { $one->standin->release; !grep { $_->{state} eq 'reserved' } $one->ledger(feature_type => 'content_creation') and active() == 0 }, 20), 'the others go on, to the end';
	cmp_ok $one->standin->counts->{requests} - $before, '>=', 2, 'with a call of their own';
	is scalar(grep { $_->slurp(20)->status == 200 && $_->ended eq 'complete' } @others), 8, 'and have it';
	is +($one->ctl('audit'))[0], 0, 'and the audit finds all equal';
};

subtest 'the one that makes it takes too long' => sub {
	my $three = Harness->new(web => 'lighttpd', cluster => $one->cluster, standin => 0, env => {OPENAI_API_KEY => $one->{upstream_key}},
		settings => {request_terminate_timeout => '6s', 'openai.base_url' => $one->standin->url . '/v1', 'openai.api_key' => '${OPENAI_API_KEY}'});
	Harness::Web::spew($three->docroot . '/poem.prompt', Harness::Web::slurp($one->docroot . '/poem.prompt'));
	my $before = $one->standin->counts->{requests};
	my %slow = (about => 'moss ' . directive('gate=0 pieces=4'));
	my $maker = $one->begin('/poem.prompt', {%slow}, key => $suppliers[0]{key});
	ok await(sub { $one->standin->counts->{requests} == $before + 1 }, 10), 'one is at it';
	my $other = $three->begin('/poem.prompt', {%slow}, key => $suppliers[1]{key});
	ok await(sub { $one->standin->counts->{requests} == $before + 2 }, 10), 'who has waited for half of its time makes its own';
	ok await(sub { $one->standin->release; !grep { $_->{state} eq 'reserved' } $one->ledger(feature_type => 'content_creation') }, 10), 'both end';
	is $_->slurp(10)->status, 200, 'and are answered' for $other, $maker;
};

subtest 'a worker that makes it dies' => sub {
	my ($maker) = ask(1, 'weeds ' . directive('gate=0 pieces=4'));
	ok $one->standin->wait(gated => 1), 'one is at it';
	my ($row) = grep { $_->{state} eq 'reserved' } $one->ledger;
	my ($pid) = $row->{worker} =~ /:(\d+):/;
	my @others = ask(4, 'weeds ' . directive('gate=0 pieces=4'));
	my @living = grep { !$_->{dead} } @others;
	kill 'KILL', $pid;
	ok $one->standin->wait(cancelled => 1), 'the call is gone with it';
	ok await(sub { !grep { $_->{id} eq $row->{id} && $_->{state} eq 'reserved' } $one->ledger }, 10), 'its row is ended by name';
	my $gated = await(sub { $one->standin->counts->{gated} > 0 }, 10);
	ok $gated, 'whoever lives goes on by himself';
	ok await(sub { $one->standin->release; my @open = grep { $_->{state} eq 'reserved' } $one->ledger; !@open }, 15), 'to the end';
	$_->slurp(10) for $maker, @others;
	cmp_ok scalar(grep { ($_->status // 0) == 200 } @others), '>=', 1, 'and has it';
	is +($one->ctl('audit'))[0], 0, 'and the audit finds all equal';
};

done_testing;
