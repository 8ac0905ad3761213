# The bodies that the tests send to the WedSync endpoints, and what they look for in every answer.
package Wedding;

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP;
use Test::More;

our @EXPORT_OK = qw(email form directive hold no_leak problem);
our $EMAIL = '/api/ai/generate-email-template';
our $FORM = '/api/ai/generate-form';

my $count = 0;

# An e-mail's input, unlike any before it; `words` go into its instructions.
sub email {
	my ($words, %more) = @_;
	$count++;
	return {
		templateType => 'welcome',
		context => {recipientType => 'couple', occasion => "first booking $$-$count", tone => 'warm', customInstructions => $words // 'be brief'},
		%more,
	};
}

sub form {
	my ($words) = @_;
	$count++;
	return {vendorType => "photographer $$-$count", formPurpose => 'booking inquiry', requiredFields => ['name', 'date'], customInstructions => $words // 'be brief'};
}

# What the stand-in is asked for.
sub directive { return "[[standin @_]]" }

# A stream of a daemon's that waits in the provider's hand, half of it read: (stream, its row). `input`: an e-mail's, that says so.
sub hold {
	my ($h, $key, $input) = @_;
	my $stream = $h->open_stream($EMAIL, $input // email(directive('pieces=4 gate=2 prompt=10 tokens=20'), stream => JSON::PP::true),
		key => $key, headers => {Accept => 'text/event-stream'});
	ok $stream->read_until(qr/(<t=\d+>.*?){2}/s, 10), 'a stream is under way';
	my ($row) = $h->ledger(request_id => $stream->header('X-Request-Id'));
	is $row->{state}, 'reserved', 'its row is open';
	return ($stream, $row);
}

# Nothing of the upstream's words or keys is in the answer or in the log.
sub no_leak {
	my ($h, $answer, $name) = @_;
	my $seen = join "\n", $answer->body, (map { "$_: $answer->{headers}{$_}" } keys %{$answer->headers}), $h->log_text;
	my @found = grep { index($seen, $_) >= 0 } $Harness::Standin::SECRET, $h->{upstream_key};
	return ok(!@found, "$name: nothing of the upstream leaks") || diag("found: @found");
}

# The answer is a problem of the catalogue in its usual form.
sub problem {
	my ($answer, $status, $code, $name) = @_;
	my $json = $answer->json // {};
	return subtest $name => sub {
		is $answer->status, $status, 'status';
		is $json->{code}, $code, 'code';
		ok length($json->{error} // ''), 'a sentence for a person';
		is $json->{requestId}, $answer->header('X-Request-Id'), 'the request id in body and header';
		like $answer->header('X-Request-Id'), qr/^req_\w{22}$/, 'its form';
		ok $status != 429 && $status != 503 || ($answer->header('Retry-After') // 0) > 0, 'Retry-After where it is owed';
		is $answer->ended, 'complete', 'the answer is whole';
	};
}

1;
