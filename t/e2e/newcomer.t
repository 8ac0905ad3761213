# The README's first endpoint, line by line as a newcomer would paste it: promptctl new, an editor, lint, into the web root, curl. (t/check/demo does the same with the
# real quickstart.) Then what goes wrong on the way, and what is said of it.
use strict;
use warnings;

use Test::More;
use Harness;
use Harness::Web;

my $h = Harness->new(web => 'lighttpd', standin => 0);
my $supplier = $h->supplier('enterprise');
my $work = $h->dir . '/work';
mkdir $_ for $work, "$work/var";
symlink $h->docroot, "$work/var/www" or die "symlink: $!";

# What the demo's quickstart prints for a shell.
Harness::Web::spew("$work/quickstart", sprintf "#!/bin/sh\necho 'export PROMPT_FPM_URL=%s PROMPT_FPM_KEY=%s'\n", 'http://127.0.0.1:' . $h->web->port, $supplier->{key});
Harness::Web::spew("$work/editor", "#!/bin/sh\nsed -i 's/our web site/a florist/' \"\$1\"\n");
chmod 0755, "$work/quickstart", "$work/editor";

# Exit status and all that the lines printed.
sub shell {
	my ($lines, %env) = @_;
	local %ENV = (%ENV, PATH => $h->build . ":$ENV{PATH}", EDITOR => "$work/editor", %env);
	Harness::Web::spew("$work/lines", "exec 2>&1\ncd '$work'\n$lines");
	my $said = `bash -e '$work/lines'`;
	return ($? >> 8, $said);
}

my ($section) = Harness::Web::slurp(Harness::source() . '/README.md') =~ /^## A first endpoint\n(.*?)^## /ms;
my @lines = $section =~ /^\$ (.*\n)/mg;

subtest 'line by line' => sub {
	is scalar(@lines), 6, 'the README has the lines';
	like "@lines", qr/promptctl new faq.*faq\.prompt.*promptctl lint faq\.prompt.*var\/www.*curl/s, 'in this order';
	my ($status, $said) = shell(join '', @lines);
	is $status, 0, 'they run' or diag $said;
	like $said, qr/^wrote faq\.prompt$/m, 'a file to start from';
	like $said, qr/^1 file: 0 errors, 0 warnings$/m, 'which lints';
	like $said, qr/^\{"answer":".+","usage":\{"tokensUsed":\d+,"costCents":[\d.]+,"fromCache":false\}\}$/m, 'and answers';
	my ($row) = $h->ledger(supplier_id => $supplier->{id});
	is "$row->{state} $row->{feature_type}", 'settled chatbot', 'metered';
	my ($rendered) = (shell(q(promptctl render faq.prompt <<<'{"input": {"question": "Why?"}}')))[1];
	like $rendered, qr/visitors of a florist\./, 'as edited';
	my ($answer) = $section =~ /^(\{"answer".*\})$/m;
	my $members = join ',', $answer =~ /"(\w+)":/g;
	is $members, 'answer,usage,tokensUsed,costCents,fromCache', 'the README shows an answer of that form';
};

subtest 'what is said on the way' => sub {
	my ($status, $said) = shell($lines[1]);
	is $status, 2, 'a second time';
	like $said, qr/faq\.prompt: is there already, and is left as it is/, 'the file is safe';
	Harness::Web::spew("$work/faq.prompt", Harness::Web::slurp("$work/faq.prompt") =~ s/\{\{question\}\}/{{#if question}}{{upper question}}{{\/if}}/r =~ s/^fpm\.answer/fpm.anwser/mr);
	($status, $said) = shell($lines[3]);
	is $status, 1, 'a slip';
	like $said, qr/^faq\.prompt:\d+:\d+: error: unknown key "fpm\.anwser" in fpm \[did you mean "answer"\?\]$/m, 'a key: where, what, and what was meant';
	like $said, qr/^faq\.prompt:\d+:\d+: error: unknown helper "upper" \[helpers are /m, 'a helper: both are told at once';
	($status, $said) = shell(join '', @lines[0, 4, 5]);
	like $said, qr/^\{"answer":/m, 'put into the web root all the same, the last good one answers';
	($status, $said) = shell(join('', @lines[0, 5]) =~ s/\$PROMPT_FPM_KEY/pfk_nonsense/r);
	like $said, qr/"code":"unauthenticated"/, 'a wrong key';
	($status, $said) = shell(join('', @lines[0, 5]) =~ s/"question"/"qestion"/r);
	like $said, qr/"path":"\/q(?:u)?estion","reason":/, 'a wrong member is named';
};

subtest 'the shortest endpoint of the README' => sub {
	my ($file) = $section =~ /^```\n(---\n.*?)^```$/ms;
	Harness::Web::spew($h->docroot . '/tagline.prompt', $file);
	my $r = $h->post('/tagline.prompt', {venue => 'The Old Mill'}, key => $supplier->{key});
	is $r->status, 200, 'answers' or diag $r->body;
	ok length $r->json->{tagline}, 'as it says';
	is +($h->ctl('lint', $h->docroot . '/tagline.prompt'))[0], 0, 'and lints';
};

done_testing;
