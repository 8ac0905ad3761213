# An output in JSON that is none, or breaks its schema, is asked for once more with its errors named: within one reservation and one deadline, charged for both
# calls; then it is invalid_generation.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Harness::Web;
use Wedding qw(form directive problem no_leak);

my $h = Harness->new(web => 'lighttpd', settings => {request_terminate_timeout => '4s'});
my $up = $h->standin;

# One form for a supplier of its own, and all there is to say of it. `next` is for the first call alone, `words` for both.
sub ask {
	my ($next, $words, %with) = @_;
	$up->reset;
	$up->next(1, $next) if defined $next;
	my $r = $h->post($with{path} // $Wedding::FORM, $with{body} // form($words), key => $h->supplier('enterprise')->{key}, %{$with{more} // {}});
	my ($row) = $h->ledger(request_id => $r->header('X-Request-Id'));
	return ($r, $row // {}, $up->counts);
}

# The ledger has what the upstream counted, in one row that ended without an overrun.
sub books {
	my ($row, $counts, $state) = @_;
	return subtest 'the ledger' => sub {
		is $row->{state}, $state, $state;
		is $row->{prompt_tokens}, $counts->{prompt_tokens}, 'prompt tokens as the upstream counted them';
		is $row->{completion_tokens}, $counts->{completion_tokens}, 'completion tokens too';
		ok !$row->{estimated}, 'nothing is estimated';
		ok !$row->{overrun}, 'and the reservation covered it';
	};
}

for my $case (['a schema that is broken', '{"title": 7}', qr{- /title: must be a string}], ['no JSON at all', 'Here is your form!', qr/it is not JSON: at byte 0/]) {
	my ($name, $text, $named) = @$case;
	subtest "$name, repaired" => sub {
		my ($r, $row, $counts) = ask("tokens=41 prompt=101 text=$text");
		is $r->status, 200, 'an answer' or diag $r->body;
		ok exists $r->json->{form}{fields}, 'the second one';
		is $counts->{requests}, 2, 'of two calls';
		books $row, $counts, 'settled';
		is $r->json->{usage}{tokensUsed}, $row->{tokens_used}, 'the caller is told of both calls';
		my $body = $up->last_body;
		my @messages = @{$body->{messages}};
		is_deeply [map { $_->{role} } @messages], [qw(system user assistant user)], 'the second one goes on where the first one ended';
		is $messages[2]{content}, $text, 'with the answer';
		like $messages[3]{content}, $named, 'and what is wrong with it';
		is $body->{response_format}{type}, 'json_schema', 'in the same form';
		unlike $h->log_text, qr/\Q$text\E/, "the model's words are not logged";
	};
}

subtest 'a repair that is refused for now is asked for again' => sub {
	my ($r, $row, $counts) = ask('tokens=41 prompt=101 text=no JSON [[standin status=503 times=1]]'); # which the repair's messages hold, and only they
	is $r->status, 200, 'an answer' or diag $r->body;
	is $counts->{requests}, 3, 'of three calls';
	books $row, $counts, 'settled';
};

subtest 'a repaired answer is cached, a broken one is not' => sub {
	my $body = form();
	my ($r) = ask('json={"title": 7}', undef, body => $body);
	is $r->status, 200, 'repaired';
	my ($again, undef, $counts) = ask(undef, undef, body => $body);
	ok $again->json->{usage}{fromCache}, 'and found again';
	is_deeply $again->json->{form}, $r->json->{form}, 'as it was';
	is $counts->{requests}, 0, 'without a call';
};

subtest 'under an idempotency key the repaired answer is given again' => sub {
	my ($s, $body) = ($h->supplier('enterprise'), form());
	my %with = (key => $s->{key}, headers => {'Idempotency-Key' => "repair-$$"});
	$up->reset;
	$up->next(1, 'json={"title": 7}');
	my $first = $h->post($Wedding::FORM, $body, %with);
	my $second = $h->post($Wedding::FORM, $body, %with);
	is $first->status, 200, 'repaired';
	is $second->body, $first->body, 'the same again, usage and all';
	is $up->counts->{requests}, 2, 'the two calls of the first';
	is scalar(my @rows = $h->ledger(supplier_id => $s->{id})), 1, 'one row';
};

for my $words ('tokens=33 json={"title": 7}', 'tokens=33 text=no JSON at all', 'json=[]') {
	subtest "twice wrong: $words" => sub {
		my ($r, $row, $counts) = ask(undef, directive($words));
		problem $r, 502, 'invalid_generation', 'the problem';
		is $counts->{requests}, 2, 'it was tried twice, and no third time';
		books $row, $counts, 'failed';
		is $row->{error_message}, 'invalid_generation', 'the row says why';
		cmp_ok $row->{cost_cents}, '>', 0, 'both are charged';
		no_leak($h, $r, $words);
	};
}

subtest 'strict output: null for what may be left out' => sub {
	Harness::Web::spew($h->docroot . '/note.prompt', "---\ninput: { schema: { n: integer, stream?: boolean } }\noutput: { format: json, schema: { type: object, properties: { title: { type: string }, note: { type: string } }, required: [title] } }\n"
		. "fpm.feature: chatbot\nfpm.answer: note\n---\nSay {{n}}.\n");
	my ($r, $row, $counts) = ask('json={"title": "a word", "note": null}', undef, path => '/note.prompt', body => {n => 1});
	is $r->status, 200, 'is left out' or diag $r->body;
	is_deeply $r->json->{note}, {title => 'a word'}, 'of the answer';
	is $counts->{requests}, 1, 'and nothing to repair';
	($r) = ask('json={"title": "a word"}', undef, path => '/note.prompt', body => {n => 2, stream => JSON::PP::true});
	is_deeply eval { $r->json->{note} }, {title => 'a word'}, 'JSON is never streamed, whatever is asked for';
};

subtest 'a provider that reports no usage: both calls by the estimate' => sub {
	my ($r, $row, $counts) = ask('nousage text=twenty bytes of text', directive('nousage'));
	is $r->status, 200, 'repaired';
	is $counts->{requests}, 2, 'two calls';
	ok $row->{estimated}, 'estimated';
	cmp_ok $row->{completion_tokens}, '>', 5, 'the first answer and the second';
	is $r->json->{usage}{tokensUsed}, $row->{tokens_used}, 'the caller is told the same';
	my ($mixed, $mixed_row) = ask('nousage text=twenty bytes of text');
	is $mixed->status, 200, 'one reported and one not';
	ok $mixed_row->{estimated}, 'is estimated too';
};

subtest 'the second call fails' => sub {
	my ($r, $row, $counts);
	for (['status=400', 1], ['status=500', 3], ['status=429 retry_after=7', 1]) {
		my ($words, $times) = @$_;
		$up->reset;
		$up->next(1, 'tokens=41 prompt=101 gate=0 json={"title": 7}');
		my $s = $h->begin($Wedding::FORM, form(), key => $h->supplier('enterprise')->{key});
		ok $up->wait(gated => 1, 5), 'the first call is under way';
		$up->next($times, $words);
		$up->release;
		$r = $s->slurp;
		($row) = $h->ledger(request_id => $r->header('X-Request-Id'));
		problem $r, 502, 'invalid_generation', "$words: the problem";
		is $up->counts->{requests}, 1 + $times, 'after the first call, and as many as it may be tried';
		is "$row->{prompt_tokens}+$row->{completion_tokens}", '101+41', 'the first one is charged, as reported';
		ok !$row->{estimated}, 'and nothing else';
		no_leak($h, $r, $words);
	}
};

subtest 'no repair' => sub {
	my ($late, undef, $late_counts) = ask('start_ms=2500 json={"title": 7}');
	problem $late, 502, 'invalid_generation', 'where less time is left than the first call took';
	is $late_counts->{requests}, 1, 'one call';
	my ($refusal, undef, $refusal_counts) = ask('finish=content_filter text=I cannot help with that.');
	problem $refusal, 502, 'invalid_generation', 'of a refusal';
	is $refusal_counts->{requests}, 1, 'one call';
	my ($long, $long_row, $long_counts) = ask('tokens=1500 text=' . 'x' x 6100);
	problem $long, 502, 'invalid_generation', 'of an answer that is longer than the reservation covers';
	is $long_counts->{requests}, 1, 'one call';
	books $long_row, $long_counts, 'failed';
	my ($greedy, $greedy_row, $greedy_counts) = ask('tokens=4000 json={"title": 7}');
	problem $greedy, 502, 'invalid_generation', 'where the first call has used more than its share';
	is $greedy_counts->{requests}, 1, 'one call';
	books $greedy_row, $greedy_counts, 'failed';
	my ($mail, undef, $mail_counts) = ask('text=no JSON', undef, path => $Wedding::EMAIL, body => Wedding::email());
	is $mail->status, 200, 'of an output that is no JSON';
	is $mail_counts->{requests}, 1, 'one call';
};

subtest 'the reservation holds both calls' => sub {
	my $s = $h->begin($Wedding::FORM, form(directive('gate=0')), key => $h->supplier('enterprise')->{key});
	ok $up->wait(gated => 1, 5), 'a call is under way';
	my ($row) = $h->rows("select t.max_tokens, t.reserved_cents, p.price_input, p.price_output from ai_usage_tracking t join fpm.model_prices p on p.id = t.price_id
		where t.state = 'reserved' and t.feature_type = 'form_generation'");
	is $row->{max_tokens}, 3000, 'twice the output ceiling';
	my $output = 100 * 3000 * $row->{price_output};
	my $answer = 100 * 6000 * $row->{price_input};
	cmp_ok $row->{reserved_cents}, '>', $output + $answer, 'and the answer that may be sent back';
	$up->release;
	is $s->slurp->status, 200, 'it ends well';
};

subtest 'a stream of JSON is none: nobody sees what was not checked' => sub {
	Harness::Web::spew($h->docroot . '/quote.prompt', <<'END');
---
input: { schema: { topic: string, stream?: boolean } }
output: { schema: { text: string } }
fpm.feature: content_creation
fpm.answer: quote
---
{{role "user"}}A quotation on {{topic}}.
END
	my %body = (topic => directive('json={"text": 7}'), stream => JSON::PP::true);
	for my $accept ('*/*', 'text/event-stream') {
		my ($r) = ask('json={"text": "first wrong"', undef, path => '/quote.prompt', body => \%body, more => {headers => {Accept => $accept}});
		problem $r, 502, 'invalid_generation', "$accept: broken";
		unlike $r->body, qr/first wrong/, 'not a word of it';
		my ($good) = ask('json={"text": 7}', undef, path => '/quote.prompt', body => {%body, topic => "life, $accept"}, more => {headers => {Accept => $accept}});
		is $good->status, 200, 'repaired';
		like $good->header('Content-Type'), qr{^application/json}, 'whole';
		is ref $good->json->{quote}, 'HASH', 'and checked';
	}
};

subtest 'another provider' => sub {
	Harness::Web::spew($h->docroot . '/claude.prompt', <<'END');
---
model: anthropic/claude-haiku-4-5
input: { schema: { topic: string } }
output: { schema: { text: string, note?: string } }
fpm.feature: content_creation
---
{{role "system"}}Quote.{{role "user"}}On {{topic}}.
END
	my ($r, $row, $counts) = ask('tokens=41 prompt=101 json={"text": 7}', undef, path => '/claude.prompt', body => {topic => 'love'});
	is $r->status, 200, 'repaired' or diag $r->body;
	is ref $r->json->{result}, 'HASH', 'an object';
	is $counts->{requests}, 2, 'two calls';
	books $row, $counts, 'settled';
	my $body = $up->last_body;
	is_deeply [map { $_->{role} } @{$body->{messages}}], [qw(user assistant user)], 'the conversation goes on';
	is $body->{output_config}{format}{type}, 'json_schema', 'with its schema as structured output';
	is $body->{system}, 'Quote.', 'and no words for it';
};

is $h->value("select count(*) from ai_usage_tracking where state = 'reserved'"), 0, 'no row is without an end';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
