# Where an endpoint's model cannot be had, the next it names is asked: each with a ledger row and a price of its own, one place of the plan and of the rate for both, and never behind a
# word of another's answer.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Process qw(await);
use Wedding qw(directive problem no_leak);

my $h = Harness->new(web => 'lighttpd', settings => {request_terminate_timeout => '9s', 'upstream.idle_timeout' => '1s', 'upstream.retries' => 0, 'pm.max_children' => 1});
my $up = $h->standin;
my $s = $h->supplier('enterprise');
my ($first, $second, $third) = qw(gpt-4o-mini claude-haiku-4-5 gpt-4.1);
my %sse = (headers => {Accept => 'text/event-stream'});
my $count = 0;

sub endpoint {
	my ($name, $models, @more) = @_;
	my ($own, @fallbacks) = @$models;
	Harness::Web::spew($h->docroot . "/$name.prompt", join '', "---\nmodel: $own\nfpm.fallback: [", join(', ', @fallbacks), "]\nconfig: { maxOutputTokens: 300 }\n",
		"input: { schema: { words: string, stream?: boolean } }\nfpm.feature: chatbot\nfpm.answer: text\n", @more, "---\n{{words}}\n");
	return "/$name.prompt";
}

my $plain = endpoint('plain', ["openai/$first", "anthropic/$second", "openai/$third"]);

# The answer, its rows in the order of their admission, and how many calls the upstream saw.
sub ask {
	my ($words, %with) = @_;
	$up->reset;
	my $r = $h->post($with{path} // $plain, {words => $with{body} // $words . ' ' . ++$count, $with{stream} ? (stream => JSON::PP::true) : ()},
		key => ($with{by} // $s)->{key}, headers => {$with{stream} ? %{$sse{headers}} : (), %{$with{headers} // {}}});
	my @rows = $h->rows('select *, trim_scale(cost_cents)::text as cents from ai_usage_tracking where request_id = ? order by created_at, id', $r->header('X-Request-Id'));
	return ($r, \@rows, $up->counts->{requests});
}

sub down { return join '', map { directive("model=$_ status=503") } @_ }
sub states { return join ' ', map { "$_->{model_used}:$_->{state}:$_->{tokens_used}" } @{$_[0]} }

# What the caller was told he used is what all his rows say.
sub told {
	my ($h, $usage, @rows) = @_;
	my ($tokens, $cents) = (0, 0);
	$tokens += $_->{tokens_used} for @rows;
	$cents = $h->value('select trim_scale(?::numeric + ?::numeric)', $cents, $_->{cents}) for @rows;
	is $usage->{tokensUsed}, $tokens, 'the caller is told of all tokens';
	return cmp_ok $usage->{costCents}, '==', $cents, 'and of the whole cost';
}

for my $stream (0, 1) {
	subtest(($stream ? 'streamed' : 'plain') . ': the second model answers' => sub {
		my ($r, $rows, $calls) = ask(down($first) . directive('prompt=20 tokens=7'), stream => $stream);
		is $r->status, 200, 'an answer' or diag $r->body;
		is $r->header('X-Model'), $second, 'that says whose it is';
		is $calls, 2, 'of two calls';
		is states($rows), "$first:failed:0 $second:settled:27", 'each with its row';
		is $rows->[0]{error_message}, 'upstream_unavailable', 'and its end';
		my ($done) = grep { ($_->{event} // '') eq 'done' } $r->events;
		told($h, $stream ? decode_json($done->{data})->{usage} : $r->json->{usage}, @$rows);
		my $id = $r->header('X-Request-Id');
		ok $h->await_log(qr/ id=$id .* model=$second fell_back_from=$first:unavailable /), 'the log tells the way';
		is $h->value("select day_count from fpm.counters where supplier_id = ?", $s->{id}), $stream + 1, 'one place of the plan';
		no_leak($h, $r, 'after a fallback');
	});
}

subtest 'what the first may have used is charged, and told' => sub {
	my ($r, $rows) = ask(directive("model=$first silence") . directive('prompt=20 tokens=7'), stream => 1);
	is $r->status, 200, 'an answer';
	is $rows->[0]{state}, 'failed', 'the first was silent';
	cmp_ok $rows->[0]{tokens_used}, '>', 0, 'and may have used the prompt';
	ok $rows->[0]{estimated}, 'which is an estimate';
	is "$rows->[1]{model_used} $rows->[1]{state}", "$second settled", 'the second answered';
	my ($done) = grep { ($_->{event} // '') eq 'done' } $r->events;
	told($h, decode_json($done->{data})->{usage}, @$rows);
};

subtest 'one that hangs leaves the others their share of the time' => sub {
	my ($r, $rows, $calls) = ask(directive("model=$first silence") . directive("model=$second silence") . directive('prompt=20 tokens=7'));
	is $r->status, 200, 'a plain answer' or diag $r->body;
	is $r->header('X-Model'), $third, 'of the third';
	is join(' ', map { "$_->{state} " . ($_->{error_message} // '') } @$rows), 'failed upstream_timeout failed upstream_timeout settled ', 'the others ran out of theirs';
	told($h, $r->json->{usage}, @$rows);
	is $calls, 3, 'three calls';
	my $path = endpoint('alone', ["openai/$first", 'local/x']);
	($r, $rows) = ask(directive("model=$first delay_ms=6500"), path => $path);
	is $r->status, 200, 'who cannot be asked has no share' or diag $r->body;
};

subtest 'one after the other' => sub {
	my ($r, $rows, $calls) = ask(down($first, $second) . directive('tokens=7'));
	is $r->header('X-Model'), $third, 'the third answers';
	is $calls, 3, 'of three calls';
	is join(' ', map { $_->{state} } @$rows), 'failed failed settled', 'three rows';
};

for (['no key is taken', 'status=401'], ['a request that it does not take', 'status=400'], ['an answer cut', 'cut=2'], ['garbage', 'garbage=0'], ['busy', 'status=429 retry_after=30']) {
	my ($name, $words) = @$_;
	subtest $name => sub {
		my ($r, $rows) = ask(directive("model=$first $words"));
		is $r->header('X-Model'), $second, 'another model answers';
		is join(' ', map { $_->{state} } @$rows), 'failed settled', 'two rows';
	};
}

subtest 'nobody answers' => sub {
	my ($r, $rows, $calls) = ask(directive("model=$first status=429") . directive("model=$second status=500") . directive("model=$third status=429 retry_after=17"));
	problem $r, 503, 'upstream_busy', 'the last one\'s problem';
	is $r->header('Retry-After'), 17, 'and when it says to come again';
	is $calls, 3, 'each was asked';
	is states($rows), "$first:failed:0 $second:failed:0 $third:failed:0", 'nothing is charged';
	is join(' ', map { $_->{error_message} } @$rows), 'upstream_busy upstream_unavailable upstream_busy', 'each row says why';
};

subtest 'a word of an answer is not followed by another\'s' => sub {
	my ($r, $rows, $calls) = ask(directive("model=$first pieces=8 error=3"), stream => 1);
	is $calls, 1, 'one call';
	is scalar(@$rows), 1, 'one row';
	is +($r->events)[-1]{event}, 'error', 'the stream ends in its error';
};

subtest 'a model that is not to be had at all' => sub {
	for (['of a provider that is not configured', 'local/x'], ['that has no price', 'openai/gpt-unknown']) {
		my ($name, $model) = @$_;
		my $path = endpoint("none", [$model, "openai/$third"]);
		my ($r, $rows) = ask('hello', path => $path);
		is $r->status, 200, "$name: another answers";
		is $r->header('X-Model'), $third, 'which says so';
		is scalar(@$rows), 1, 'in one row';
		is $h->value("select count(*) from fpm.refusals where reason = 'model_unavailable'"), 0, 'nothing was refused';
	}
	my ($r) = ask('hello', path => endpoint('none', ['local/x', 'local/y']));
	problem $r, 503, 'model_unavailable', 'where none is, that is the problem';
};

subtest 'a request takes one place of its rate' => sub {
	my $path = endpoint('rated', ["openai/$first", "openai/$third"], "fpm.rate: 2/hour\n");
	my $by = $h->supplier('enterprise');
	for my $left (1, 0) {
		my ($r, $rows) = ask(down($first), path => $path, by => $by);
		is $r->status, 200, 'an answer of the second model';
		is scalar(@$rows), 2, 'in two rows';
		like $r->header('RateLimit'), qr/;r=$left;/, "$left left";
	}
	my ($r) = ask(down($first), path => $path, by => $by);
	problem $r, 429, 'rate_limit', 'no third';
};

subtest 'a fallback that the plan does not cover' => sub {
	my $path = endpoint('dear', ["openai/$first", 'openai/gpt-4']);
	my $by = $h->supplier('enterprise');
	$h->dbh->do("insert into ai_usage_limits (tier_name, feature_type, monthly_limit, daily_limit, cost_limit_cents) values ('thrifty', 'chatbot', 100, 100, 1)");
	$h->ctl_ok('supplier', 'tier', $by->{id}, 'thrifty');
	my ($r, $rows, $calls) = ask(down($first), path => $path, by => $by);
	problem $r, 503, 'upstream_unavailable', 'leaves the problem what it was';
	is $calls, 1, 'nothing is asked that cannot be paid';
	is states($rows), "$first:failed:0", 'the one row';
	my $id = $r->header('X-Request-Id');
	ok $h->await_log(qr/ id=$id .* detail="server error; no fallback was admitted: cost_limit"/), 'the log says why';
	is $h->value("select count(*) from fpm.refusals where supplier_id = ?", $by->{id}), 0, 'which is no refusal of the caller';
};

subtest 'the cache knows whose an answer is' => sub {
	my $body = down($first) . "again $$";
	my ($r) = ask('', body => $body);
	is $r->json->{usage}{fromCache}, JSON::PP::false, 'the second model makes it';
	my ($again, $rows, $calls) = ask('', body => $body);
	is $calls, 1, 'the first is asked again';
	ok $again->json->{usage}{fromCache}, 'and the second one\'s answer is there';
	is $again->json->{text}, $r->json->{text}, 'as it was';
	is "$rows->[1]{model_used} $rows->[1]{state}", "$second cached", 'a hit, in its row';
	told($h, $again->json->{usage}, @$rows);
};

subtest 'JSON, and its repair' => sub {
	my $path = endpoint('record', ["openai/$first", "openai/$third"], "output: { format: json, schema: { title: string } }\n");
	my ($r, $rows, $calls) = ask(down($first) . directive("model=$third prompt=3 tokens=4 json={\"title\": \"A form\"}"), path => $path);
	is_deeply $r->json->{text}, {title => 'A form'}, 'the second model\'s' or diag $r->body;
	($r, $rows, $calls) = ask(down($first) . directive("model=$third prompt=3 tokens=4 json={\"title\": 7}"), path => $path);
	problem $r, 502, 'invalid_generation', 'one that breaks its schema';
	is $calls, 3, 'is repaired by who made it';
	is states($rows), "$first:failed:0 $third:failed:14", 'and charged for both calls';
};

subtest 'under an idempotency key' => sub {
	my %with = (headers => {'Idempotency-Key' => "fallback-$$"}, body => down($first) . 'keyed');
	my ($r) = ask('', %with);
	is $r->header('X-Model'), $second, 'the second model\'s answer';
	my ($again, undef, $calls) = ask('', %with);
	is $again->header('Idempotency-Replayed'), 'true', 'is given again';
	is $again->body, $r->body, 'as it was';
	is $calls, 0, 'without a call';
	%with = (headers => {'Idempotency-Key' => "fallback-free-$$"}, body => down($first, $second, $third));
	problem +(ask('', %with))[0], 503, 'upstream_unavailable', 'where all failed and none was charged';
	my ($retry, undef, $more) = ask('', %with);
	is $retry->header('Idempotency-Replayed'), undef, 'the key is free';
	is $more, 3, 'and all are asked again';
	%with = (headers => {'Idempotency-Key' => "fallback-spent-$$"}, body => directive("model=$first garbage=0") . down($second, $third));
	($r) = ask('', %with);
	problem $r, 503, 'upstream_unavailable', 'where all failed and the first was charged';
	($again, undef, $calls) = ask('', %with);
	is $again->header('Idempotency-Replayed'), 'true', 'the failure is the key\'s answer';
	is $calls, 0, 'and nobody is asked again';
};

subtest 'a caller with a key who leaves while the second model makes the same answer for another' => sub {
	my $words = directive("model=$first garbage=0") . directive("model=$second gate=0") . 'shared';
	my ($id, %with) = (undef, key => $s->{key}, headers => {%{$sse{headers}}, 'Idempotency-Key' => "fallback-left-$$"});
	my $failed = sub { $h->value("select count(*) from ai_usage_tracking where model_used = ? and state = 'failed' and estimated", $first) };
	my $before = $failed->();
	$up->reset;
	my $maker = $h->begin($plain, {words => $words}, key => $s->{key});
	ok $up->wait(gated => 1), 'the second model is at work';
	my $stream = $h->begin($plain, {words => $words, stream => JSON::PP::true}, %with);
	ok await(sub { $failed->() == $before + 2 }, 10), 'another request has been failed by the first, too';
	$stream->close;
	ok await(sub { $h->log_text =~ / caller=left .* fault=broken/ }, 10), 'its caller leaves';
	$up->release;
	is $maker->slurp(10)->status, 200, 'the one who stayed is answered';
	my $again = $h->post($plain, {words => $words, stream => JSON::PP::true}, %with);
	problem $again, 502, 'upstream_error', 'the other, who was charged, is told of the failure';
	is $again->header('Idempotency-Replayed'), 'true', 'as the answer to his key';
};

# A worker tells its counts once a second: what it has not told is lost with it.
ok await(sub { $h->request('GET', '/api/ai/status?json', {})->json->{fallbacks} > 20 }, 10), 'the status page counts them';

subtest 'a worker that is killed while the second model is at work' => sub {
	$up->reset;
	my $answer = $h->begin($plain, {words => down($first) . directive('gate=0') . 'killed'}, key => $s->{key});
	ok $up->wait(gated => 1), 'it is';
	my ($worker) = $h->workers;
	kill 'KILL', $worker;
	$answer->slurp(10);
	ok await(sub { $h->value("select count(*) from ai_usage_tracking where state = 'reserved'") == 0 }, 15), 'its row is ended';
	my @rows = $h->rows('select model_used, state from ai_usage_tracking order by created_at desc, id desc limit 2');
	is_deeply [map { "$_->{model_used} $_->{state}" } reverse @rows], ["$first failed", "$second expired"], 'and each says what became of it';
};

subtest 'a database that keeps the second model waiting is told from a provider' => sub {
	my $slow = Harness->new(web => 'lighttpd', beside => $h, settings => {'upstream.retries' => 0, slowlog => $h->dir . '/slow', request_slowlog_timeout => '1ms'});
	Harness::Web::spew($slow->docroot . $plain, Harness::Web::slurp($h->docroot . $plain));
	$up->reset;
	my $answer = $slow->begin($plain, {words => directive("model=$first gate=0 cut=0") . 'held', stream => JSON::PP::true}, key => $s->{key});
	ok $up->wait(gated => 1), 'the first model is at work';
	my $holder = $h->cluster->dbh;
	$holder->begin_work;
	$holder->do(q{select pg_advisory_xact_lock(fpm.lock_key(?, 'chatbot'))}, undef, $s->{id});
	$up->release;
	ok await(sub { $h->value('select count(*) from pg_locks where not granted') }, 10), 'its row waits to be ended';
	$holder->do('select pg_sleep(0.3)');
	$holder->commit;
	is $answer->slurp(10)->header('X-Model'), $second, 'the second answers';
	my $id = $answer->header('X-Request-Id');
	ok await(sub { Harness::Web::slurp($h->dir . '/slow') =~ / id=$id .* database_us=(\d+) .*fallback:(\d+)/ && $1 >= 300_000 && $1 <= $2 }, 10), 'the entry says how long the database took of it';
};

subtest 'an operator corrects one of its calls' => sub {
	my ($r, $rows) = ask(directive("model=$first garbage=0"));
	my @correct = ('correct', '--prompt-tokens', 0, '--reason', 'the provider charged nothing');
	my ($status, undef, $said) = $h->ctl(@correct, $r->header('X-Request-Id'));
	is $status, 1, 'by the id of the request, which is not enough';
	like $said, qr/names more than one call.*\n  $rows->[0]{id}  $first, failed, $rows->[0]{cents} cents\n  $rows->[1]{id}  $second, settled, $rows->[1]{cents} cents\n\z/,
		'it is told which there are';
	is $h->ctl_ok(@correct, $rows->[0]{id}), "-$rows->[0]{cents}", 'by the id of the row';
};

is $h->value("select count(*) from ai_usage_tracking where state = 'reserved'"), 0, 'no row is without an end';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
