# A .prompt file in a document root: an endpoint at its own URL within what the pool lets document roots do; live on the next request, and when it breaks its last
# good version serves on, from every worker, while the status page says what is wrong.
use strict;
use warnings;

use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(await);
use Harness::Web;
use Wedding qw(directive problem);

my $endpoints = tempdir('pf-endpoints-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $endpoints;
my $text = "---\nmodel: openai/gpt-4.1\nconfig: { maxOutputTokens: 2000 }\ninput: { schema: { n: integer } }\nfpm.feature: chatbot\nfpm.cache: off\n---\nTell me %s {{n}}.\n";
Harness::Web::spew("$endpoints/free.prompt", sprintf $text, 'anything');

my $h = Harness->new(web => 'lighttpd', endpoints => $endpoints, settings => {
	'drop_in.models' => 'openai/gpt-5-mini, anthropic/claude-*', 'drop_in.max_output_tokens' => 300, 'drop_in.rate' => '30/hour', 'pm.max_children' => 3,
}, env => {MALLOC_PERTURB_ => 165}); # mallopt(3): what was freed is overwritten, so that nobody reads it unseen
my $s = $h->supplier('enterprise');
my $n = 0;

sub drop { my ($name, $what) = @_; return Harness::Web::spew($h->docroot . "/$name.prompt", $what) }
sub ask { my ($name) = @_; return $h->post("/$name.prompt", {n => ++$n}, key => $s->{key}) }
sub said { my ($pattern) = @_; return scalar(() = $h->log_text =~ /$pattern/g) }
sub status { my ($query) = @_; return $h->request('GET', "/api/ai/status$query") }

# The text of the last call's only message.
sub asked { return $h->standin->last_body->{messages}[-1]{content} }

sub front { my ($lines) = @_; return "---\n${lines}input: { schema: { n: integer } }\nfpm.feature: chatbot\nfpm.cache: off\n---\nSay {{n}}.\n" }

subtest 'models' => sub {
	drop 'plain', front('');
	my $r = ask('plain');
	is $r->status, 200, 'a file that names none' or diag $r->body;
	is $r->header('X-Model'), 'gpt-4o-mini', 'has the default one';
	is $h->standin->last_body->{max_tokens}, 300, 'and the ceiling of document roots';
	drop 'listed', front("model: anthropic/claude-haiku-4-5\n");
	is ask('listed')->header('X-Model'), 'claude-haiku-4-5', 'one that is on the list';
	my $bad = drop 'dear', front("model: openai/gpt-4.1\n");
	problem ask('dear'), 503, 'endpoint_broken', 'one that is not';
	like $h->log_text, qr{\Q$bad\E:2:8: error: the model \\?"openai/gpt-4\.1\\?" is not allowed in a document root}, 'the log says where';
	my $worse = drop 'fallback', front("fpm.fallback: [openai/gpt-5-mini, openai/gpt-4.1]\n");
	problem ask('fallback'), 503, 'endpoint_broken', 'not even as a fallback';
	is $h->post('/api/ai/free', {n => 1}, key => $s->{key})->header('X-Model'), 'gpt-4.1', 'the pool\'s own directory is held to nothing';
	is $h->standin->last_body->{max_tokens}, 2000, 'nor to a ceiling';

	my ($status, undef, $err) = $h->ctl('lint', $bad, $worse);
	is $status, 0, 'lint alone knows no pool';
	($status, undef, $err) = $h->ctl('lint', '--config', $h->dir . '/prompt-fpm.conf', $bad, $worse);
	is $status, 1, 'with the pool\'s settings it does';
	like $err, qr{^\Q$bad\E:2:8: error: .*\n\Q$worse\E:2:35: error: }m, 'and says both';
};

subtest 'behind Apache too' => sub {
	drop 'plain', front('');
	for my $kind ('apache') {
		my $client = $h->client($h->start_web($kind));
		is $client->post('/plain.prompt', {n => ++$n}, key => $s->{key})->status, 200, "$kind: answers";
		Harness::Web::spew($h->docroot . '/plain.prompt~', 'what an editor left');
		is $client->request('GET', '/plain.prompt~')->status, 403, "$kind: what an editor left beside it is not shown";
		is $client->post('/absent.prompt', {}, key => $s->{key})->status, 404, "$kind: no file, no endpoint";
	}
};

subtest 'the text of a prompt is never sent' => sub {
	my @names = qw(left.prompt~ left.prompt.bak .left.prompt.swp .left.prompt left.PROMPT left.Prompt left.PROMPT~);
	Harness::Web::spew($h->docroot . "/$_", front('')) for 'left.prompt', @names;
	mkdir $h->docroot . '/all.prompts';
	Harness::Web::spew($h->docroot . '/all.prompts/page.html', '<!doctype html><title>A page</title>');
	for my $client ($h->client, $h->client($h->start_web('apache'))) {
		for my $name ('left.prompt', @names, map { my $of = $_; map { "$of$_" } '/', '/more', '/more.html', '%2fmore' } 'left.prompt', @names) {
			my $r = $client->request('GET', "/$name", {});
			ok $r->status >= 400 && $r->body !~ /Say/, "$name is not shown" or diag $r->status, ' ', $r->body;
		}
		is $client->request('GET', '/all.prompts/page.html', {})->status, 200, 'what lies in a folder of such a name is';
	}
};

subtest 'rates' => sub {
	drop 'loose', front("fpm.rate: 100/second\n");
	is ask('loose')->header('RateLimit-Policy'), '"loose";q=30;w=3600', 'a looser one is brought down to the pool\'s';
	drop 'tight', front("fpm.rate: 2/hour\n");
	is ask('tight')->header('RateLimit-Policy'), '"tight";q=2;w=3600', 'a tighter one holds';
	is ask('tight')->status, 200, 'twice';
	problem ask('tight'), 429, 'rate_limit', 'and no more';
};

subtest 'a change is live on the next request, for every worker' => sub {
	for my $round (1 .. 9) {
		drop 'live', front('') =~ s/Say/Say round $round,/r;
		is ask('live')->status, 200, 'an answer';
		like asked(), qr/Say round $round,/, "of round $round";
	}
};

subtest 'a change under requests that are in flight' => sub {
	my $say = sub { Harness::Web::spew("$endpoints/held.prompt", "---\nfpm.feature: chatbot\nfpm.cache: off\n---\nSay {{n}}. $_[0]") };
	$say->(directive('gate=0 pieces=2'));
	my @held = map { $h->begin('/api/ai/held', {n => $_}, key => $s->{key}) } 1 .. 12;
	ok $h->standin->wait(gated => 12), 'all are with the upstream';
	$say->('Now.');
	is $h->post('/api/ai/held', {n => 0}, key => $s->{key})->status, 200, 'the new version answers' for 1 .. 9;
	$h->standin->release;
	is scalar(grep { $_->slurp(20)->status == 200 } @held), 12, 'and so does the old one those who had it';
	ok((await { said(qr/ endpoint=held .* status=200 /) == 21 }), 'each has its line in the log, with its endpoint') or diag said(qr/ endpoint=held /);
	is said(qr/killed by signal/), 0, 'and no worker died of it';
};

subtest 'what breaks' => sub {
	my $file = drop 'live', front('') =~ s/Say/Say the last good,/r;
	is ask('live')->status, 200, 'good once, by one worker';
	drop 'live', front('') =~ s/Say/{{shout n}}/r;
	for (1 .. 9) {
		is ask('live')->status, 200, 'its last good version serves on';
		like asked(), qr/Say the last good,/, 'by whichever worker';
	}
	is said(qr{\Q$file\E:\d+:\d+: error}), 1, 'the log says so once';
	my ($broken) = grep { $_->{file} eq $file } @{status('?json')->json->{broken}};
	is "$broken->{at}:$broken->{line}:$broken->{column}", "$file:6:3", 'the status page has the place';
	like $broken->{message}, qr/unknown helper "shout"/, 'what is wrong';
	cmp_ok abs(time - $broken->{since}), '<', 60, 'since when';
	ok $broken->{serving}, 'and that something serves';
	my $page = status('')->body;
	like $page, qr/^broken files:         3$/m, 'as text too';
	like $page, qr/^  \Q$file\E:6:3: unknown helper "shout".*; since \d+ s; its last good version is served$/m, 'with the same';
	like $page, qr{/dear\.prompt:2:8: the model .*; nothing is served$}m, 'and where nothing serves';
	like status('?metrics')->body, qr/^promptfpm_endpoints_broken\{pool="www"\} 3$/m, 'and as a metric';

	my %old = map { $_ => 1 } $h->workers;
	$h->daemon->signal('HUP');
	ok((await { my @now = $h->workers; @now >= 3 && !grep { $old{$_} } @now } 15), 'workers that never saw it whole');
	for (1 .. 6) {
		is ask('live')->status, 200, 'serve it too';
		like asked(), qr/Say the last good,/, 'as it was';
	}
	is said(qr{\Q$file\E:\d+:\d+: error}), 1, 'without a word';

	drop 'live', front('') =~ s/Say/Say it is mended,/r;
	my @left = map { $_->{file} } @{status('?json')->json->{broken}};
	is scalar(grep { $_ eq $file } @left), 0, 'mended: it is off the page before anybody asked for it';
	is said(qr/\Q$file\E loads again/), 1, 'the log says so, once';
	is ask('live')->status, 200, 'and it';
	like asked(), qr/Say it is mended,/, 'serves';
	unlink $file;
	is ask('live')->status, 404, 'taken away, it is gone';
};

done_testing;
