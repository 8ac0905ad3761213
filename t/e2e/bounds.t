# What a call may cost at most, and what tells two answers apart: as the ledger, the cache and the upstream see it.
use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;
use JSON::PP;
use Harness;
use Harness::Web;
use Wedding qw(email directive);

my $endpoints = tempdir('pf-endpoints-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $endpoints;
my $text = "---\nconfig: { temperature: %s, maxOutputTokens: 2000 }\ninput: { schema: { n: integer } }\nfpm.feature: chatbot\nfpm.cache: { scope: shared, ttl: 1h }\n---\n"
	. "{{role \"system\"}}Be brief.{{role \"user\"}}Tell me of {{n}}.";
Harness::Web::spew("$endpoints/tell.prompt", sprintf $text, 0.5);
Harness::Web::spew("$endpoints/talk.prompt", "---\ninput: { schema: { words: string, stream?: boolean } }\nfpm.feature: content_creation\nfpm.cache: off\n---\n{{words}}\n");

my $h = Harness->new(web => 'lighttpd', endpoints => $endpoints, settings => {max_output_tokens => 300, request_terminate_timeout => '60s'});
my $s = $h->supplier('enterprise');
sub ask { my ($of, $n) = @_; return $of->post('/api/ai/tell', {n => $n}, key => $s->{key}) }
sub is_cached { my ($of, $n, $cached, $name) = @_; my $r = ask($of, $n); is $r->status . ($r->json->{usage}{fromCache} ? ' cached' : ' made'), $cached ? '200 cached' : '200 made', $name }

is_cached($h, 7, 0, 'the first answer is made');
is $h->standin->last_body->{max_tokens}, 300, 'within the pool\'s ceiling';
my ($row) = $h->ended_rows(1);
# 'Be brief.' and 'Tell me of 7.': 9 + 13 bytes, a token each at most; and 16 for the frame of each message and of the reply.
cmp_ok abs($row->{reserved_cents} - 100 * ((9 + 13 + 3 * 16) * 0.00000015 + 300 * 0.0000006)), '<', 1e-9, 'the reservation is the upper bound of both';
is_cached($h, 7, 1, 'the same again is not');
is_cached($h, 8, 0, 'another is');

# What is kept, and what it is charged.
$h->standin->next(1, 'prompt=100 cached=40 tokens=10');
is_cached($h, 9, 0, 'an answer of which the provider had a part cached');
($row) = grep { $_->{prompt_tokens} == 100 } $h->ended_rows(2);
is $row->{cached_tokens}, 40, 'its row says so';
cmp_ok abs($row->{cost_cents} - 100 * (60 * 0.00000015 + 40 * 0.000000075 + 10 * 0.0000006)), '<', 1e-9, 'and is charged less for it';
$h->standin->next(1, 'finish=length');
is_cached($h, 10, 0, 'an answer that was cut at its ceiling');
is_cached($h, 10, 0, 'is not kept');
is_cached($h, 10, 1, 'but the whole one is');

my %others = ('of another ceiling' => {max_output_tokens => 200}, 'of another model' => {max_output_tokens => 300, default_model => 'openai/gpt-4.1-mini'},
	'that differs in nothing' => {max_output_tokens => 300});
$h->ctl_ok(qw(model add openai/gpt-4.1-mini --input 0.4 --output 1.6)) if $h->value(q{select count(*) from ai_models where model_name = 'gpt-4.1-mini'}) == 0;
for my $name (sort keys %others) {
	my $other = Harness->new(web => 'lighttpd', endpoints => $endpoints, beside => $h, settings => $others{$name});
	is_cached($other, 7, scalar($name =~ /nothing/), "to a pool $name");
}

# The first call of the day is admitted in one way, those after it in another: a row has all the time that its call may take, and then some, either way.
for my $first (1, 0) {
	my $call = $h->begin('/api/ai/talk', {words => directive('gate=1 pieces=3'), stream => JSON::PP::true}, key => $s->{key});
	ok $h->standin->wait(gated => 1), 'a stream is under way';
	my ($open) = $h->rows('select o.stream, extract(epoch from o.expires_at - o.created_at) as seconds from fpm.ai_usage_open o');
	is $open->{stream}, 1, 'its row says that it is one';
	cmp_ok $open->{seconds}, '>', 61, 'and outlives it';
	$h->standin->release;
	like $call->slurp->body, qr/\w/, 'it goes on';
	$h->ended_rows(1);
}

Harness::Web::spew("$endpoints/tell.prompt", sprintf $text, 0.6);
is_cached($h, 7, 0, 'a file that was changed is asked anew, though the messages are the same');
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds all equal';

done_testing;
