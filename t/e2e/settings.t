# Settings that are wrong, and those that may be meant: promptctl configtest, prompt-fpm -t and the start itself say the same of them, with the line.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Harness::Process;
use Test::More;

my ($promptctl, $program) = map { abs_path(($ENV{PROMPT_FPM_BUILD} // '.') . "/$_") // BAIL_OUT("$_ is not built") } qw(promptctl prompt-fpm);
my $dir = tempdir('pf-settings-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my $socket = "$dir/x.sock";
my $runs = 0;
chmod 0755, $dir;
mkdir "$dir/$_" for qw(endpoints site site/deep);

sub spew {
	my ($file, $text) = @_;
	open my $out, '>', "$dir/$file" or die "$file: $!";
	print $out $text;
	close $out;
}

# Runs it in the directory, to its end; (exit status, all that it printed).
sub run {
	my (@command) = @_;
	my $process = Harness::Process->start(name => 'run' . ++$runs, dir => $dir, cwd => $dir, command => \@command);
	$process->wait(20) or diag('it goes on running'), $process->stop;
	return (($process->status // -1) >> 8, $process->output);
}

# The three who look at a file.
my @root = $> == 0 ? '-R' : ();
my %look = (
	configtest => sub { run($promptctl, 'configtest', '--config', $_[0]) },
	'-t' => sub { run($program, '-c', $_[0], @root, '-t') },
	start => sub { run($program, '-c', $_[0], @root, '--foreground') },
);

# A file that is good but for what is given; undef takes a line away. [global] lines are written as 'global.name'.
sub settings {
	my ($file, %more) = @_;
	my %all = ('global.error_log' => "$dir/log", 'global.pid' => "$dir/pid", listen => $socket, endpoints => "$dir/endpoints", database => "host=$dir connect_timeout=1", %more);
	my @global = map { /^global\.(.*)/ && defined $all{$_} ? "$1 = $all{$_}\n" : () } sort keys %all;
	my @pool = map { !/^global\./ && defined $all{$_} ? "$_ = $all{$_}\n" : () } sort keys %all;
	spew($file, join '', "[global]\n", @global, "[www]\n", @pool);
}

sub line_of {
	my ($file, $name) = @_;
	open my $in, '<', "$dir/$file" or die "$file: $!";
	while (<$in>) { return $. if /^\Q$name\E = / }
}

sub is_told {
	my ($name, $value, $said) = @_;
	(my $plain = $name) =~ s/^global\.//;
	settings('wrong.conf', $name => $value);
	my $line = line_of('wrong.conf', $plain);
	for my $who (sort keys %look) {
		my ($status, $text) = $look{$who}->('wrong.conf');
		is($status, 1, "$name = $value, $who: status 1") or diag $text;
		like($text, qr/^wrong\.conf:$line: \Q$plain\E: .*\Q$said\E/m, 'is told with file:line');
		unlike($text, qr/s3cret|word/, 'and no password');
		ok(!-S $socket, 'and leaves no socket');
	}
}

spew('file', "neither a key nor a certificate\n");
spew('empty', '');
spew('blank', "\nsk-key\n");
spew('blanks', " \t\r\nsk-key\n");
spew('huge', 'k' x 4096 . "\n");
spew('odd', "sk-key # of the agency\n");

subtest 'wrong by their form' => sub {
	is_told(@$_) for
		['pm.threads', 'many', 'must be a whole number'], ['no.such', 1, 'no such setting'], ['global.log_level', 'loud', 'must be'],
		['request_slowlog_timeout', 'soon', 'must be a time such as'],
		['prefix', 'api', 'must begin with a slash'], ['ping.path', 'ping', 'must begin'], ['pm.status_path', 'status', 'must begin'],
		['listen.allowed_clients', '192.0.2.1, localhost', 'must be addresses such as'], ['listen', '*:9000', 'all addresses of this machine are'],
		(map { ['listen', $_, 'must be /path/to/socket, host:port, [::1]:port or :port'] } '9000', 'foo', '127.0.0.1:99999', ':0'),
		['default_model', 'gpt', 'must be written as'], ['default_model', 'openai/', 'must be written as'], ['drop_in.models', 'gpt', 'must list models'];
};

subtest 'what they name is not there, or cannot be meant' => sub {
	is_told(@$_) for
		['user', 'nobody-of-that-name', 'there is no user'], ['group', 'nobodies-of-that-name', 'there is no group'],
		['listen.owner', 'nobody-of-that-name', 'there is no user'], ['listen.group', 'nobodies-of-that-name', 'there is no group'],
		['global.pid', "$dir/none/pid", 'No such file'], ['global.pid', $dir, 'Is a directory'], ['global.error_log', "$dir/none/log", 'No such file'],
		['global.error_log', $dir, 'Is a directory'], ['slowlog', "$dir/none/slow", 'No such file'], ['slowlog', $dir, 'Is a directory'], ['listen', "$dir/none/x.sock", 'No such file'], ['listen', "$dir/file/x.sock", 'Not a directory'],
		['listen', "$dir/file", 'no socket'], ['listen', 'no-such-host.invalid:9000', 'unknown host'], ['endpoints', "$dir/none", "$dir/none: No such file"],
		['endpoints', "$dir/file", "$dir/file: Not a directory"], ['openai.api_key_file', "$dir/none", 'No such file'], ['openai.api_key_file', $dir, "$dir: Is a directory"],
		['openai.api_key_file', "$dir/empty", 'is empty'], ['anthropic.api_key_file', "$dir/blank", 'is empty'],
		['openai.api_key_file', "$dir/blanks", 'is empty'], ['openai.api_key_file', "$dir/huge", 'too long for a key'], ['openai.api_key_file', "$dir/odd", 'is no key'], ['tls_ca_file', "$dir/blank", 'no certificate'],
		['tls_ca_file', "$dir/none", 'No such file'], ['default_model', 'foo/bar', 'no provider "foo"'],
		(map { ['openai.base_url', $_, 'must be a URL'] } 'foo', 'api.openai.com/v1'),
		(map { ['openai.base_url', "http://h/v1$_", 'may have no ? or #'] } '?version=1', '#x'), ['anthropic.base_url', 'ftp://127.0.0.1', 'must be a URL'],
		(map { ['local.base_url', $_, 'must be a URL'] } 'http:///v1', 'https://a host/', 'http://', 'http://:8080/v1', 'http://h:99999/v1'),
		['database', 's3cret=1', 'is no connection string'], ['database', 'postgresql://u:s3cret@h/d?nonsense=1', 'is no connection string'],
		['database', 'host=/tmp password=s3cret word', 'is no connection string'];
};

subtest 'many things at once' => sub {
	spew('many.conf', "[global]\npid = $dir/none/pid\nerror_log = $dir/none/log\n[www]\nuser = nobody-of-that-name\nendpoints = $dir/none\n");
	my ($status, $text) = $look{configtest}->('many.conf');
	is($status, 1, 'configtest');
	like($text, qr/^many\.conf:$_->[0]: $_->[1]: /m, "says each: $_->[1]") for [2, 'pid'], [3, 'error_log'], [5, 'user'], [6, 'endpoints'];
	spew('forms.conf', "[global]\nlog_level = info\npid.file = x\n[www]\nlisten = :1\npm.threads = lots\n");
	($status, $text) = $look{configtest}->('forms.conf');
	is($status, 1, 'in their form, too');
	like($text, qr/^forms\.conf:3: pid\.file: no such setting/m, 'the first');
	like($text, qr/^forms\.conf:6: pm\.threads: must be /m, 'and the second');
};

subtest 'wrong as a whole' => sub {
	my %files = (
		syntax => ["[global]\nnonsense\n", qr/^syntax\.conf:2: /m], pool => ["[global]\nlog_level = info\n", qr/^pool\.conf: /m],
		slow => ["[www]\nrequest_slowlog_timeout = 5s\n", qr/^slow\.conf: request_slowlog_timeout needs a slowlog/m],
		slower => ["[www]\nslowlog = $dir/slow\nrequest_terminate_timeout = 4s\nrequest_slowlog_timeout = 5s\n", qr/^slower\.conf: request_slowlog_timeout cannot be longer/m],
		keys => ["[www]\nopenai.api_key = k\nopenai.api_key_file = $dir/file\n", qr/^keys\.conf: openai\.api_key and /m]);
	for my $name (sort keys %files) {
		spew("$name.conf", $files{$name}[0]);
		for my $who (sort keys %look) {
			my ($status, $text) = $look{$who}->("$name.conf");
			is($status, 1, "$name, $who: status 1");
			like($text, $files{$name}[1], 'is told') or diag $text;
		}
	}
	settings('nowhere.conf', listen => undef);
	is((my ($status, $text) = $look{start}->('nowhere.conf'))[0], 1, 'a start with nowhere to listen');
	like($text, qr/listen is not set/, 'is told');
	is(($look{configtest}->('absent.conf'))[0], 2, 'no such file: configtest');
	($status, $text) = $look{'-t'}->('absent.conf');
	is($status, 1, 'and -t');
	like($text, qr/absent\.conf: .*No such file/, 'say so');
};

subtest 'good ones' => sub {
	spew('endpoints/good.prompt', "---\ninput: { schema: { n: integer } }\nfpm.feature: chatbot\n---\nSay {{n}}.\n");
	settings('good.conf');
	my ($status, $text) = $look{configtest}->('good.conf');
	is($status, 0, 'a good one') or diag $text;
	like($text, qr/^good\.conf: good: pool www, 1 endpoint$/m, 'says so');
	($status, $text) = $look{'-t'}->('good.conf');
	is($status, 0, 'by -t too');
	like($text, qr/good\.conf: the settings are good/, 'and says so');
	open my $in, '<', ($ENV{PROMPT_FPM_SRC} // '.') . '/etc/prompt-fpm.conf' or die $!;
	spew('sample.conf', join '', <$in>);
	($status, $text) = $look{'-t'}->('sample.conf');
	is($status, 0, 'the sample settings, as they are shipped') or diag $text;
	($status, $text) = $look{start}->('sample.conf');
	like($text, qr/listen is not set/, 'which say what is missing');
	for (['user', 0], ['listen', 'localhost:9000'], ['listen', '[::]:9000'], ['listen', '0.0.0.0:9000'], ['default_model', 'sample/any'], ['openai.base_url', 'HTTP://127.0.0.1:1/v1/'],
		['local.base_url', 'http://[::1]:8080'], ['openai.base_url', '${ABSENT}'], ['database', 'postgresql:///x'], ['openai.api_key_file', '/dev/null'], ['slowlog', 'slow'], ['request_slowlog_timeout', 0]) {
		settings('unusual.conf', @$_);
		($status, $text) = $look{configtest}->('unusual.conf');
		is($status, 0, "$_->[0] = $_->[1]: may be meant") or diag $text;
	}
	spew('site/deep/bad.prompt', "---\ninput: { schema: { n: integer } }\nfpm.feature: chatbot\n---\n{{#each}}\n");
	settings('site.conf', endpoints => "$dir/site");
	($status, $text) = $look{configtest}->('site.conf');
	is($status, 1, 'an endpoint with errors');
	like($text, qr{deep/bad\.prompt:5:\d+: error: }, 'is linted');
};

done_testing;
