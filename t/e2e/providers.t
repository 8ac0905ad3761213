# Where the calls go: to OPENAI_BASE_URL over HTTP or HTTPS with OPENAI_API_KEY, or to the sample provider where there is neither.
use strict;
use warnings;

use Test::More;
use Harness;
use JSON::PP;
use Wedding qw(email form directive problem);

subtest 'over HTTP, with the key' => sub {
	my $h = Harness->new(web => 'lighttpd');
	my $s = $h->supplier('enterprise');
	my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
	is $r->status, 200, 'an answer';
	is $r->header('X-Model'), 'gpt-4o-mini', 'the model is named';
	my $body = $h->standin->last_body;
	is $body->{model}, 'gpt-4o-mini', 'the pool\'s model was asked';
	is $body->{messages}[0]{role}, 'system', 'with a system message';
	is $body->{max_tokens} // $body->{max_completion_tokens}, 1000, 'and a ceiling';
	is $h->standin->counts->{unauthorized}, 0, 'the key was good';
};

subtest 'a key in a file' => sub {
	my $h = Harness->new(web => undef, settings => {'pm.threads' => 8, 'openai.api_key' => undef}, start => 0);
	$h->start_database;
	$h->start_standin;
	$h->{settings}{'openai.api_key_file'} = Harness::Web::spew("$h->{dir}/key", "  $h->{upstream_key} \t\r\nsomething else\n");
	$h->start_daemon;
	$h->{web} = $h->start_web('lighttpd');
	$h->await_ping;
	is $h->post($Wedding::EMAIL, email(), key => $h->supplier('enterprise')->{key})->status, 200, 'its first line serves, without the blanks around it';
	is $h->standin->counts->{unauthorized}, 0;
};

subtest 'a key that the upstream refuses' => sub {
	my $h = Harness->new(web => 'lighttpd', env => {OPENAI_API_KEY => 'sk-wrong-key'});
	my $s = $h->supplier('enterprise');
	my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
	problem $r, 502, 'upstream_error', 'the problem';
	is $h->standin->counts->{unauthorized}, 1, 'it was refused there';
	unlike $r->body . $h->log_text, qr/sk-wrong-key|\Q$Harness::Standin::SECRET\E/, 'neither the key nor the upstream\'s words are told';
};

subtest 'over HTTPS, verified' => sub {
	my $h = Harness->new(web => 'lighttpd', tls => 1);
	my $s = $h->supplier('enterprise');
	is $h->post($Wedding::EMAIL, email(), key => $s->{key})->status, 200, 'an answer';
	my $stream = $h->post($Wedding::EMAIL, email(directive('pieces=5'), stream => JSON::PP::true), key => $s->{key});
	is scalar($stream->lags), 5, 'a stream';
	is $h->standin->counts->{requests}, 2, 'they came over TLS';

	my $wary = Harness->new(web => 'lighttpd', cluster => $h->cluster, standin => 0,
		settings => {'openai.base_url' => $h->standin->url . '/v1', 'openai.api_key' => '${OPENAI_API_KEY}'}, env => {OPENAI_API_KEY => 'k'});
	problem $wary->post($Wedding::EMAIL, email(), key => $s->{key}), 503, 'upstream_unreachable', 'a certificate that nothing vouches for is not trusted';
	is $h->standin->counts->{requests}, 2, 'and nothing was sent';
};

subtest 'neither: the sample provider' => sub {
	my $h = Harness->new(web => 'lighttpd', standin => 0);
	my $s = $h->supplier('enterprise');
	like $h->log_text, qr/sample provider answers/, 'the log says so';
	my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
	is $r->status, 200, 'an answer' or diag $r->body;
	is $r->header('X-Model'), 'sample', 'that says so';
	cmp_ok $r->json->{usage}{tokensUsed}, '>', 0, 'metered';
	my $stream = $h->post($Wedding::EMAIL, email(undef, stream => JSON::PP::true), key => $s->{key});
	is $stream->status, 200, 'a stream';
	cmp_ok scalar($stream->pieces), '>', 1, 'in pieces';
	my $form = $h->post($Wedding::FORM, form(), key => $s->{key});
	is $form->status, 200, 'a form that passes its own output schema' or diag $form->body;
	ok exists $form->json->{form}{fields}, 'with fields';
	ok $h->post($Wedding::FORM, form(), key => $s->{key})->json->{form}, 'another';
};

done_testing;
