# Ten thousand requests of every kind at once: plain, streamed, from the cache, refused, cut by their callers at a random byte, and an upstream that fails in every
# way it can. Afterwards the ledger is held against the stand-in's own record of each call.
#
# What "equal" means: a call has one row and one row has its calls; where the provider told its usage, the row has exactly that; where it told none, the row is
# marked as estimated and has exactly a token for every four bytes of the prompt and of the text that came. Only where a connection was torn can nobody but the
# daemon know what came: no less than what the caller got, no more than what the upstream wrote.
# MIXED_REQUESTS says how many, MIXED_SEED repeats a run.
use strict;
use warnings;

use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;
use Harness;
use Harness::Crowd;
use Harness::Process qw(await);
use Wedding qw(email directive);

my $count = $ENV{MIXED_REQUESTS} // 10000;
my $seed = $ENV{MIXED_SEED} // int rand 1e6;
diag "MIXED_SEED: $seed";
srand $seed;

my $endpoints = tempdir(CLEANUP => 1);
chmod 0755, $endpoints;
Harness::Web::spew("$endpoints/$_.prompt", Harness::Web::slurp(Harness::source() . "/etc/endpoints/$_.prompt")) for qw(generate-email-template chat);
Harness::Web::spew("$endpoints/claude.prompt", <<'END');
---
model: anthropic/claude-haiku-4-5
config: { maxOutputTokens: 700 }
input: { schema: { words: string, stream?: boolean } }
fpm.feature: claude
fpm.answer: text
fpm.cache: off
---
{{role "system"}}You are brief.{{role "user"}}{{words}}
END
Harness::Web::spew("$endpoints/record.prompt", <<'END');
---
config: { maxOutputTokens: 400 }
input: { schema: { words: string } }
output: { format: json, schema: { title: string } }
fpm.feature: record
fpm.answer: record
fpm.cache: off
---
{{words}}
END

my $h = Harness->new(web => 'lighttpd', endpoints => $endpoints, standin_args => ['--record'], settings => {
	'pm.max_children' => 3, 'pm.threads' => 48, request_terminate_timeout => '4s', 'upstream.idle_timeout' => '1500ms',
});
$h->dbh->do("insert into ai_usage_limits (tier_name, feature_type, monthly_limit, daily_limit, cost_limit_cents) values ('enterprise', ?, -1, -1, -1)", undef, $_)
	for qw(claude record);
my @suppliers = map { $h->supplier('enterprise') } 1 .. 12;
my $starter = $h->supplier('starter');
my $client = $h->client;
my @again = map { email(directive("prompt=13 tokens=$_")) } 1 .. 25;

# ---- The kinds. Each makes a path, a body, and what else compose_post and the crowd take.

sub usage { return sprintf 'prompt=%d cached=%d tokens=%d', 300 + int rand 300, int rand 300, int rand 900 }
sub some_pieces { return sprintf 'pieces=%d delay_ms=%d', 2 + int rand 10, int rand 6 }
sub as_events { return rand() < 0.6 ? (headers => {Accept => 'text/event-stream'}) : () }

sub plain {
	my ($words, %more) = @_;
	return {path => $Wedding::EMAIL, body => email(directive($words)), %more};
}

sub stream {
	my ($words, %more) = @_;
	return {path => $Wedding::EMAIL, body => email(directive($words), stream => JSON::PP::true), as_events(), %more};
}

sub claude {
	my ($words, %more) = @_;
	my $stream = delete $more{streams} // rand() < 0.6;
	return {path => '/api/ai/claude', body => {words => directive($words) . rand, $stream ? (stream => JSON::PP::true) : ()}, as_events(), %more};
}

sub record { return {path => '/api/ai/record', body => {words => directive(@_) . rand}} }
sub either { return rand() < 0.4 ? plain(@_) : rand() < 0.7 ? stream(@_) : claude(@_) }
sub any_stream { return rand() < 0.7 ? stream(@_) : claude(shift, streams => 1, @_) }
sub any_plain { return rand() < 0.7 ? plain(@_) : claude(shift, streams => 0, @_) }

# By weight.
my %kinds = (
	'plain' => [22, sub { plain(usage()) }],
	'streamed' => [18, sub { stream(usage() . ' ' . some_pieces()) }],
	'of Anthropic' => [8, sub { claude(usage() . ' ' . some_pieces()) }],
	'from the cache' => [12, sub { {path => $Wedding::EMAIL, body => $again[rand @again], rand() < 0.3 ? (cut => 1 + int rand 900) : ()} }],
	'structured' => [2, sub { record(usage() . ' json={"title": "A form"}') }],
	'structured wrongly' => [1, sub { record(usage() . ' json={"title": 7}') }],
	'above the ceiling' => [1, sub { either('prompt=400 tokens=5000') }],
	'without usage' => [3, sub { either('nousage ' . some_pieces()) }],
	'a stream cut by its caller' => [11, sub { any_stream(usage() . ' pieces=25 delay_ms=' . int rand 6, cut => 1 + int rand 2500) }],
	'a plain answer cut by its caller' => [3, sub { any_plain(usage(), cut => 1 + int rand 700) }],
	'left as soon as it was sent' => [2, sub { either(usage() . ' ' . some_pieces(), leaves => 1) }],
	'half a request' => [2, sub { plain(usage(), half => 1) }],
	'refused by the upstream' => [5, sub { either('status=' . (400, 401, 403, 404, 429, 500, 503, 529)[rand 8]) }],
	'refused for now' => [3, sub { either(sprintf '%s status=%d times=%d', usage(), (429, 500, 503, 529)[rand 4], 1 + int rand 2) }],
	'broken off' => [2, sub { any_plain((qw(cut garbage reset))[rand 3]) }],
	'a stream broken off' => [4, sub { any_stream(sprintf '%s=%d pieces=9 delay_ms=%d', (qw(cut end error garbage))[rand 4], int rand 9, int rand 4) }],
	'torn off' => [1, sub { any_stream(sprintf 'reset=%d pieces=9 delay_ms=%d', int rand 9, int rand 4) }],
	'silent' => [0.5, sub { any_plain('silence=0') }],
	'a stream fallen silent' => [0.5, sub { any_stream(sprintf 'silence=%d pieces=9', int rand 9) }],
	'above the plan' => [2, sub { plain(usage(), key => $starter->{key}) }],
	'not valid' => [2, sub { {path => $Wedding::EMAIL, body => {templateType => 7}} }],
);

sub choose {
	my @names = sort keys %kinds;
	my $at = rand eval { my $sum = 0; $sum += $kinds{$_}[0] for @names; $sum };
	for (@names) {
		return $_ if ($at -= $kinds{$_}[0]) < 0;
	}
	return $names[-1];
}

sub request {
	my $kind = choose();
	my $made = $kinds{$kind}[1]->();
	my $text = $client->compose_post($made->{path}, $made->{body}, key => $made->{key} // $suppliers[rand @suppliers]{key}, headers => $made->{headers} // {});
	my $sent = $made->{leaves} ? length $text : $made->{half} ? int rand length $text : undef;
	return {to => $client, text => $text, kind => $kind, reset => rand() < 0.3, defined $sent ? (sent => $sent) : (), defined $made->{cut} ? (cut => $made->{cut}) : ()};
}

# The text of a stream that its caller has.
sub text_of {
	my ($answer) = @_;
	return $answer->body =~ s/\n\n\[\w+: [^\]]*\]\n\z//r unless ($answer->header('Content-Type') // '') =~ /event-stream/;
	return join '', map { my $data = eval { decode_json($_->{data} // '') }; $data && defined $data->{text} ? encode($data->{text}) : () } $answer->events;
}

sub encode { my ($text) = @_; utf8::encode($text); return $text }

sub tell {
	my ($request, $answer) = @_;
	my ($tokens, $cents) = $answer->body =~ /"tokensUsed":(\d+),"costCents":([\d.]+)/;
	my $streams = ($answer->header('Content-Type') // '') =~ m{event-stream|text/plain};
	return ($answer->status, $answer->ended, $answer->header('X-Request-Id') // '', $tokens // '', $cents // '', $streams ? length text_of($answer) : 0);
}

my @requests = map { request() } 1 .. $count;
my $crowd = Harness::Crowd->start(processes => 4, callers => 14, requests => \@requests, tell => \&tell, timeout => 30);
my @answers = map {
	my %answer = (kind => $requests[$_->[0]]{kind});
	@answer{qw(number status ended id tokens cents text)} = @$_;
	\%answer;
} $crowd->finish;
is scalar(@answers), $count, 'every caller came to an end';
ok await(sub { $h->standin->counts->{open} == 0 }, 15), 'no upstream call is open';
ok await(sub { $h->value("select count(*) from ai_usage_tracking where state = 'reserved'") == 0 }, 15), 'no row is without an end';

# ---- Calls and rows.

my $counts = $h->standin->counts;
my $calls = $h->standin->calls;
my %row = map { $_->{request_id} => $_ } $h->rows('select *, trim_scale(cost_cents)::text as cents from ai_usage_tracking');
my %told = map { $_->{id} => $_ } grep { length $_->{id} } @answers;

is $h->value('select count(*) from ai_usage_tracking'), scalar(keys %row), 'no request has two rows';
is_deeply [grep { !$row{$_} } keys %$calls], [], 'no upstream call is without a row';
my @generated = grep { $_->{state} ne 'cached' } values %row;
is_deeply [grep { !$calls->{$_->{request_id}} && ($_->{tokens_used} != 0 || $_->{state} eq 'settled') } @generated], [], 'what was not sent is charged nothing';
is_deeply [grep { $_->{state} eq 'cached' && $calls->{$_->{request_id}} } values %row], [], 'and what came from the cache was not sent';
my $sent = 0;
$sent += @{$calls->{$_}} for keys %$calls;
is $counts->{requests}, $sent, 'the stand-in counted as many calls as it recorded';
my $for_now = qr/^(429|5\d\d)$/; # statuses of what is asked again
my @repeated = grep {
	my @before = @{$calls->{$_}};
	my $last = pop @before;
	grep({ $_->{status} !~ $for_now } @before) && $row{$_}{error_message} ne 'invalid_generation';
} keys %$calls;
is_deeply \@repeated, [], 'nothing was sent twice but what was refused for now, or is tried once more for its form';
is scalar(grep { @$_ > 3 } values %$calls), 0, 'nor more often than it may be';

# ---- Tokens, row by row.

# The first few of what is wrong, a line each.
sub show {
	diag(JSON::PP->new->canonical->allow_nonref->encode($_)) for grep { defined } @_[0 .. 4];
}

# What a row must have, by its calls: how that is known, then prompt, cached and completion tokens, the last as least and most.
sub owed {
	my ($row, @calls) = @_;
	my ($call, $answer) = ($calls[-1], $told{$row->{request_id}} // {kind => '', text => 0});
	@calls = grep { $_->{status} == 200 } @calls;
	my $left = $row->{state} eq 'aborted';
	return ('nothing', 0, 0, 0, 0) if $call->{status} != 200;
	# A caller may leave after the last piece and before the usage.
	if (!grep({ !$_->{told} } @calls) && !($left && $row->{estimated})) {
		my %sum = (prompt => 0, cached => 0, completion => 0);
		for my $told (@calls) {
			$sum{$_} += $told->{$_} for keys %sum;
		}
		return ('told', @sum{qw(prompt cached completion completion)});
	}
	my ($prompt, $text) = map { int(($_ + 3) / 4) } @$call{qw(said_bytes text_bytes)};
	return ('estimated', $prompt, 0, 0, 0) if !$call->{stream} && $row->{state} ne 'settled';
	return ('estimated', $prompt, 0, $text, $text) if !$left && $answer->{kind} ne 'torn off';
	return ('bounded', $prompt, 0, int(($answer->{text} + 3) / 4), $text);
}

my (%rows_of, %sum, @wrong);
my %short = (prompt => 0, cached => 0, completion => 0);
for my $row (grep { $calls->{$_->{request_id}} } @generated) {
	my @calls = @{$calls->{$row->{request_id}}};
	my ($how, $prompt, $cached, $least, $most) = owed($row, @calls);
	$rows_of{$how}++;
	push @wrong, {how => $how, owed => [$prompt, $cached, $least, $most], row => $row, calls => \@calls, answer => $told{$row->{request_id}}}
		unless $row->{prompt_tokens} == $prompt && $row->{cached_tokens} == $cached && $row->{completion_tokens} >= $least && $row->{completion_tokens} <= $most
			&& $row->{tokens_used} == $row->{prompt_tokens} + $row->{completion_tokens} && $row->{estimated} == ($how =~ /^(estimated|bounded)$/ ? 1 : 0);
	if ($how eq 'told') {
		$sum{$_} += $row->{"${_}_tokens"} for qw(prompt cached completion);
	} elsif ($how eq 'bounded') {
		$short{$_} += $calls[-1]{$_} for keys %short; # the usage was told to somebody who had left
	}
}
is scalar(@wrong), 0, 'every row has the tokens that its call came to' or show(@wrong);
is $counts->{"${_}_tokens"} - $short{$_}, $sum{$_}, "the stand-in's sum of $_ tokens is the ledger's" for qw(prompt cached completion);

# ---- Callers.

my @misled = grep { $_->{ended} eq 'complete' && $_->{status} == 200 && length $_->{tokens}
	&& "$_->{tokens} $_->{cents}" ne join ' ', @{$row{$_->{id}} // {tokens_used => 'no', cents => 'row'}}{qw(tokens_used cents)} } @answers;
is_deeply \@misled, [], 'what callers were told they used is what is booked' or show(map { +{%$_, row => $row{$_->{id}}} } @misled);
my @strange = grep { $_->{status} >= 400 && $_->{status} < 500 && $row{$_->{id}} } @answers;
is_deeply \@strange, [], 'who was refused has no row';
my %expected = (plain => 'settled', streamed => 'settled', 'of Anthropic' => 'settled', structured => 'settled', 'refused for now' => 'settled', 'without usage' => 'settled', 'above the ceiling' => 'settled',
	'structured wrongly' => 'failed', 'refused by the upstream' => 'failed', 'broken off' => 'failed', 'a stream broken off' => 'failed',
	'torn off' => 'failed', silent => 'failed', 'a stream fallen silent' => 'failed');
my @unlike = grep { $expected{$_->{kind}} && ($row{$_->{id}} // {state => 'none'})->{state} ne $expected{$_->{kind}} } @answers;
is_deeply \@unlike, [], 'each kind ended as it must' or show(map { +{%$_, row => $row{$_->{id}}} } @unlike);
is scalar(grep { $_->{kind} eq 'above the ceiling' && !$row{$_->{id}}{overrun} } @answers), 0, 'overruns say so';
is scalar(grep { $_->{kind} eq 'above the plan' && $_->{status} == 200 } @answers), 5, 'the plan held';

my %kind_count;
$kind_count{$_->{kind}}++ for @answers;
is_deeply [grep { !$kind_count{$_} } keys %kinds], [], 'no kind was left out';
for (qw(told estimated bounded nothing)) {
	cmp_ok $rows_of{$_} // 0, '>', 0, ($rows_of{$_} // 0) . " rows $_";
}
cmp_ok scalar(grep { $_->{state} eq 'cached' } values %row), '>', 0, 'hits of the cache';
cmp_ok scalar(grep { $_->{state} eq 'aborted' } values %row), '>', 0, 'callers who left';
diag join ', ', map { "$_ $rows_of{$_}" } sort keys %rows_of;
my ($status, $out, $err) = $h->ctl('audit');
is $status, 0, 'promptctl audit finds ledger and counters equal' or diag "$out$err";

done_testing;
