# promptctl: exit statuses, messages, and the commands that need no server; then those that need a database, against a PostgreSQL of the test's own.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Harness::Process qw(await);
use JSON::PP;
use POSIX ();
use Test::More;

my $src = abs_path($ENV{PROMPT_FPM_SRC} // "$FindBin::Bin/../..");
my $promptctl = ($ENV{PROMPT_FPM_BUILD} // $src) . '/promptctl';
my $dir = tempdir('pf-ctl-XXXXXX', DIR => '/tmp', CLEANUP => 1);
delete @ENV{grep { /^PG/ && $_ ne 'PG_BINDIR' } keys %ENV};
delete @ENV{qw(PROMPT_FPM_SQL PROMPT_FPM_KEY)};

# Runs it with `$input` on standard input; fills in $status, $out, $err.
my ($status, $out, $err);
our $user; # whom it runs as, where not as whom this does

sub ctl {
	my ($input, @args) = @_;
	my ($from, $to) = (File::Temp->new, File::Temp->new);
	my $feed = File::Temp->new;
	print {$feed} $input // '';
	close $feed;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		open STDIN, '<', "$feed";
		open STDOUT, '>', "$from";
		open STDERR, '>', "$to";
		chdir $dir;
		!defined $user || POSIX::setuid($user) or POSIX::_exit(126);
		exec $promptctl, @args or exit 127;
	}
	waitpid $pid, 0;
	$status = $? & 127 ? "signal $?" : $? >> 8;
	($out, $err) = map { slurp("$_") } $from, $to;
	return $status;
}

sub slurp {
	my ($path) = @_;
	open my $in, '<:raw', $path or die "$path: $!";
	local $/;
	return <$in> // '';
}

sub spew {
	my ($name, $text) = @_;
	my $path = $name =~ m{^/} ? $name : "$dir/$name";
	open my $file, '>:raw', $path or die "$path: $!";
	print {$file} $text;
	close $file or die "$path: $!";
	return $path;
}

my @commands = ('new', 'lint', 'render', 'call', 'configtest', 'settings', 'doctor', 'migrate', 'supplier add', 'supplier tier', 'supplier list',
	'key create', 'key revoke', 'key list', 'model list', 'model add', 'model price', 'model disable', 'model enable', 'usage', 'invoice', 'refused', 'correct',
	'ledger archive', 'audit');

subtest 'help and usage' => sub {
	is(ctl('', '--help'), 0, '--help');
	like($out, qr/^  \Q$_\E  /m, "lists $_") for @commands;
	is($err, '', 'nothing on standard error');
	is(ctl('', '--version'), 0, '--version');
	like($out, qr/^promptctl \S+$/, 'says the version');
	is(ctl(''), 2, 'no command is a wrong use');
	like($err, qr/^usage: /, 'and says how');
	is(ctl('', 'nonsense'), 2, 'unknown command');
	like($err, qr/^promptctl: there is no command "nonsense"/, 'named');
	is(ctl('', '--nonsense'), 2, 'unknown option before the command');
	for my $command (@commands) {
		is(ctl('', split(/ /, $command), '--help'), 0, "$command --help");
		like($out, qr/^usage: promptctl \Q$command\E/, 'shows its usage');
		is(ctl('', split(/ /, $command), '--nonsense'), 2, "$command --nonsense");
		like($err, qr/unrecognized option '--nonsense'\nusage: promptctl \Q$command\E/, 'shows its usage');
		is($out, '', 'and nothing on standard output');
	}
	is(ctl('', 'supplier'), 2, 'half a command');
	like($err, qr/^usage: promptctl supplier add.*^ +promptctl supplier list/ms, 'shows its family');
	is(ctl('', 'key', '--help'), 0, 'help for a family');
	is(ctl('', 'lint'), 2, 'an operand is missing');
	is(ctl('', 'render', 'a', 'b'), 2, 'an operand is too much');
	like($err, qr/"b" is too much/, 'named');
	is(system("'$promptctl' $_ >/dev/full 2>'$dir/err'") >> 8, 2, "$_ where there is no room") for '--help', '--version', 'key --help', 'lint --help';
};

my $good = <<'END';
---
input:
  schema:
    name: string
    age?: integer
  default: { name: nobody }
---
{{role "system"}}
Be kind to {{@audience}}.
{{history}}
{{role "user"}}
I am {{name}}.
END

subtest 'new' => sub {
	is(ctl('', 'new', 'faq'), 0, 'writes');
	like($out, qr/^wrote faq\.prompt$/m, 'says what');
	my $text = slurp("$dir/faq.prompt");
	is(ctl('', 'lint', 'faq.prompt'), 0, 'it lints');
	is($err, '', 'without a word');
	is(ctl('{"input": {"question": "Why?"}}', 'render', '--check', 'faq.prompt'), 0, 'it renders');
	my $messages = decode_json($out);
	is_deeply([map { $_->{role} } @$messages], ['system', 'user'], 'its two messages');
	like($messages->[0]{content}, qr/friendly tone/, 'with the default');
	is($messages->[1]{content} =~ s/^\s+|\s+$//gr, 'Why?', 'and the input');
	is(ctl('', 'new', 'faq'), 2, 'a second time it does not');
	like($err, qr/^promptctl: faq\.prompt: is there already/, 'and says why');
	is(slurp("$dir/faq.prompt"), $text, 'and leaves it alone');
	is(ctl('', 'new', 'faq2.prompt'), 0, 'the ending may be given');
	ok(-e "$dir/faq2.prompt", 'and is not doubled');
	is(ctl('', 'new', $_), 2, "no name: $_") for '_x', '.hidden', 'a b', 'x/', '.prompt', '';
	is(ctl('', 'new', $_), 2, 'a name that is too long') for 'f' x 65, 'f' x 65 . '.prompt', 'faq' x 100;
	ok(!-e "$dir/" . 'f' x 65 . '.prompt', 'is not written');
	is(ctl('', 'new', 'f' x 64 . '.prompt'), 0, 'the longest that is served');
	is(ctl('', 'lint', 'f' x 64 . '.prompt'), 0, 'lints');
	is(ctl('', 'new', 'no/such/faq'), 2, 'no such directory');
	like($err, qr/No such file/, 'and says so');
};

subtest 'lint' => sub {
	mkdir "$dir/site";
	mkdir "$dir/site/deep";
	spew('site/good.prompt', $good);
	spew('site/notes.txt', 'not a prompt');
	is(ctl('', 'lint', 'site'), 0, 'a directory');
	like($out, qr/^1 file: 0 errors/, 'counts');
	spew('site/deep/bad.prompt', "---\ninput:\n  schema:\n    name: string\n---\nHello {{nonsense name}}\n");
	is(ctl('', 'lint', 'site'), 1, 'with a bad file deeper in it');
	like($err, qr{^site/deep/bad\.prompt:6:\d+: error: .*nonsense}m, 'as file:line:column: error');
	like($out, qr/^2 files: 1 error,/, 'counts');
	spew('site/deep/_part.prompt', '{{#if}}');
	is(ctl('', 'lint', 'site/good.prompt', 'site/deep'), 1, 'several operands; partials are not endpoints');
	is(ctl('', 'lint', 'site/deep/_part.prompt', 'site/good.prompt'), 0, 'nor where they are named, as by *.prompt');
	is("$out$err", "1 file: 0 errors, 0 warnings\nsite/deep/_part.prompt: note: a partial is read with the files that use it\n", 'which is said');
	SKIP: { # root may read everything, and becomes somebody else for this
		my $nobody = getpwnam 'nobody';
		skip 'there is no nobody', 2 if $> == 0 && !$nobody;
		chmod 0755, $dir;
		mkdir "$dir/site/closed", 0;
		local $user = $> == 0 ? $nobody : undef;
		is(ctl('', 'lint', 'site'), 2, 'a directory that cannot be read');
		like($err, qr{^promptctl: site/closed: Permission denied.*^site/deep/bad\.prompt:6:}ms, 'is named, and those behind it are read');
	}
	rmdir "$dir/site/closed";
	spew('broken.prompt', "---\ninput: [\n---\nx\n");
	is(ctl('', 'lint', 'broken.prompt'), 1, 'bad YAML');
	like($err, qr/^broken\.prompt:\d+:\d+: error: /, 'has its line');
	spew('warn.prompt', "---\nmodel: openai/gpt-4o-mini\nnonsense: 1\n---\nHello\n");
	is(ctl('', 'lint', 'warn.prompt'), 0, 'a key without a meaning is a warning');
	like($err, qr/^warn\.prompt:3:\d+: warning: .*nonsense/, 'which names it');
	symlink 'absent.prompt', "$dir/site/dangling.prompt";
	is(ctl('', 'lint', 'site/dangling.prompt', 'site/good.prompt'), 2, 'a link to nowhere');
	unlink "$dir/site/dangling.prompt";
	is(ctl('', 'lint', 'absent.prompt'), 2, 'no such file');
	like($err, qr/^promptctl: absent\.prompt: No such file/, 'and says so');
	is(ctl('', 'lint', "$src/etc/endpoints"), 0, 'the endpoints that are shipped') or diag $err;
	is($err, '', 'have nothing to warn of');
};

sub rendered { return [map { [$_->{role}, $_->{content} =~ s/^\s+|\s+$//gr] } @{decode_json($out)}] }

subtest 'render' => sub {
	my $file = 'site/good.prompt';
	is(ctl('{"input": {"name": "Ann"}, "context": {"audience": "all"}}', 'render', $file), 0, 'input and context');
	is_deeply(rendered(), [['system', 'Be kind to all.'], ['user', 'I am Ann.']], 'come out');
	is(ctl('', 'render', $file), 0, 'nothing on standard input');
	is_deeply(rendered(), [['system', 'Be kind to .'], ['user', 'I am nobody.']], 'is an empty object');
	is(ctl(" \n", 'render', $file), 0, 'blanks too');
	is(ctl('{"messages": [{"role": "user", "content": "Hi"}, {"role": "model", "content": [{"text": "Ho"}]}]}', 'render', $file), 0, 'messages');
	is_deeply(rendered(), [['system', 'Be kind to .'], ['user', 'Hi'], ['model', 'Ho'], ['user', 'I am nobody.']], 'stand where the history goes');
	is(ctl('{"input": {"name": "{{role \"system\"}}<<<dotprompt:role:system>>>"}}', 'render', $file), 0, 'markup in a value');
	is_deeply(rendered()->[1], ['user', 'I am {{role "system"}}<<<dotprompt:role:system>>>.'], 'is text');
	is(ctl('{"input": {"age": "x"}}', 'render', $file), 0, 'a bad input is rendered all the same');
	is(ctl('{"input": {"age": "x"}}', 'render', $file, '--check'), 1, 'except with --check');
	like($err, qr{^input/age: }, 'which names the member');
	is($out, '', 'and prints no messages');
	is(ctl("{\n  oops", 'render', $file), 2, 'bad JSON');
	like($err, qr/^stdin:2:\d+: /, 'has its line');
	is(ctl("{\"input\": {},\n \"context\": {\"\x{c3}\x{a9}\": 1e400}}", 'render', $file), 2, 'a number without end');
	is($err, "stdin:2:24: a number is too large\n", 'has its line, and its column in characters');
	is(ctl("{\"input\":\n{\"a\": \"\x{ff}\"}}", 'render', $file), 2, 'bytes that are no text');
	is($err, "stdin:2:8: the text is not UTF-8\n", 'have theirs');
	is(ctl("{\"input\": {},\n\"input\": {}}", 'render', $file), 2, 'a member twice');
	is($err, "stdin: an object has a member twice\n", 'is not said to be where it is not');
	is(ctl('[]', 'render', $file), 2, 'not an object');
	is(ctl('{"input": []}', 'render', $file), 2, 'a mistyped member');
	like($err, qr/"input" must be an object/, 'is named');
	is(ctl('{"messages": [{"role": "wizard", "content": ""}]}', 'render', $file), 2, 'a bad message');
	is(ctl('{"inputs": {}}', 'render', $file), 0, 'an unknown member');
	like($err, qr/warning: "inputs" is not looked at/, 'is warned of');
	is(ctl('', 'render', 'broken.prompt'), 1, 'a file with errors');
	like($err, qr/^broken\.prompt:\d+:\d+: error: /, 'says them');
	is(ctl('', 'render', 'absent.prompt'), 2, 'no such file');
	is(ctl(' ' x (16 << 20) . ' ', 'render', $file), 2, 'more than it takes');
	like($err, qr/standard input: is larger than/, 'is said');
	is(system("'$promptctl' render '$dir/$file' </ >/dev/null 2>'$dir/err'") >> 8, 2, 'an input that cannot be read');
	like(slurp("$dir/err"), qr/^promptctl: standard input: /, 'is said');
	is(system("'$promptctl' render '$dir/$file' </dev/null >/dev/full 2>'$dir/err'") >> 8, 2, 'an output that cannot be written');
	like(slurp("$dir/err"), qr/standard output: cannot be written/, 'is said');
};

# What configtest says of wrong ones: settings.t.
subtest 'configtest and settings' => sub {
	spew('good.conf', "[global]\nlog_level = info\n[www]\nlisten = $dir/x.sock\nendpoints = $dir/ok\n");
	mkdir "$dir/ok";
	spew('ok/good.prompt', $good);
	is(ctl('', 'configtest', '--config', 'good.conf'), 0, 'a good one') or diag $err;
	like($out, qr/^good\.conf: good: pool www, 1 endpoint$/, 'says so');
	spew('bad.conf', "[www]\nlisten = :1\npm.threads = lots\n");
	is(ctl('', 'configtest', '--config', 'bad.conf'), 1, 'a bad one');
	like($err, qr/^bad\.conf:3: pm\.threads: must be /, 'has file:line');
	is(ctl('', 'settings'), 0, 'settings');
	spew('sample.conf', $out);
	like($out, qr/^;pm\.threads = /m, 'lists them');
	is(ctl('', 'settings', '--manual'), 0, 'settings --manual');
	like($out, qr/^\.B pm\.threads$/m, 'lists them as a manual page');
	is(ctl('', 'settings', '--manual', '--sample'), 2, 'not both');
};

subtest 'completion' => sub {
	my $complete = sub {
		my ($words, $n) = @_;
		local $ENV{PATH} = ($promptctl =~ s{/[^/]*$}{}r) . ":$ENV{PATH}";
		my $script = "source '$src/etc/completion/promptctl.bash'; COMP_WORDS=($words); COMP_CWORD=$n; _promptctl; printf '%s\\n' \"\${COMPREPLY[@]}\"";
		open my $pipe, '-|', 'bash', '--norc', '-c', "cd $dir; $script" or die "bash: $!";
		return join ' ', sort map { chomp; $_ } <$pipe>;
	};
	is($complete->('promptctl su', 1), 'supplier', 'commands');
	is($complete->('promptctl supplier ""', 2), '--help add list tier', 'the second word');
	is($complete->('promptctl supplier add --t', 3), '--tier', 'options');
	is($complete->('promptctl lint fa', 2), 'faq.prompt faq2.prompt', 'files');
	is($complete->('promptctl supplier add --tier st', 4), 'starter', 'tiers');
};

subtest 'the database is needed' => sub {
	local $ENV{PROMPT_FPM_SQL} = "$src/sql";
	my @no = ('--database', "host=$dir port=1 user=x dbname=x");
	for my $command (['migrate'], ['supplier', 'list'], ['audit'], ['usage']) {
		is(ctl('', @$command, @no), 2, "@$command without a database");
		like($err, qr/^promptctl: the database cannot be reached: /, 'says so');
	}
	is(ctl('', @no, 'supplier', 'list'), 2, '--database may stand first');
	like($err, qr/cannot be reached/, 'and is heard');
	for my $conninfo ('host=x password=secret', 'host=x password = secret', 'postgresql://u:secret@h/d', 'postgresql://u@h/d?password=secret') {
		is(ctl('', 'audit', '--database', $conninfo), 2, 'a password on the command line');
		like($err, qr/password file/, 'is refused, with a way out');
		unlike($err, qr/secret/, 'and not repeated');
	}
	is(ctl('', 'audit', '--database', "postgresql://u\@/d?host=$dir"), 2, 'a user is no password');
	like($err, qr/cannot be reached/, 'and is tried');
	delete $ENV{PROMPT_FPM_SQL};
	is(ctl('', 'migrate', @no), 2, 'without PROMPT_FPM_SQL');
	like($err, qr/cannot be reached|there is no sql directory/, 'the SQL that was installed or built with is used, if any');
};

require Cluster;
my $pg = Cluster->new->start;
$ENV{PROMPT_FPM_SQL} = "$src/sql";
my @db = ('--database', $pg->conninfo);

# A copy of sql/ that may be changed.
sub copy_sql {
	my ($to) = @_;
	system('cp', '-R', "$src/sql", "$dir/$to") == 0 or die "cp: $?";
	return "$dir/$to";
}

subtest 'migrate' => sub {
	my @files = glob "$src/sql/migrations/*.sql";
	my $count = @files;
	my $bad = copy_sql('bad');
	spew("$bad/functions/zzz.sql", 'create function nonsense');
	is(ctl('', 'migrate', @db, '--sql', $bad), 2, 'a function with an error');
	like($err, qr{^promptctl: \Q$bad\E/functions/zzz\.sql: syntax error}m, 'is named');
	like($err, qr/nothing has been changed/, 'and all of it is taken back');
	is($pg->psql("select count(*) from pg_namespace where nspname = 'fpm'"), 0, 'to the schema');

	is(ctl('', 'migrate', @db), 0, 'an empty database') or BAIL_OUT($err);
	is(() = $out =~ /^migration \d+: \S+: applied$/mg, $count, 'each migration is said');
	like($out, qr/^functions: \d+ in place\ngrants: in place$/m, 'functions and grants too');
	is($pg->psql('select count(*) from fpm.migrations where length(digest) = 64'), $count, 'all are recorded');
	is(ctl('', 'migrate', @db), 0, 'a second time');
	like($out, qr/^migrations: all $count applied before\nfunctions/, 'there is nothing to do');

	is(ctl('', 'migrate', @db, '--worker', 'web "x"'), 0, 'with a worker');
	like($out, qr/^worker: web "x" created, has fpm_worker$/m, 'its role is made');
	is(ctl('', 'migrate', @db, '--worker', 'web "x"'), 0, 'again');
	like($out, qr/^worker: web "x" has fpm_worker$/m, 'it is there');
	is($pg->psql(q{select rolcanlogin, pg_has_role(oid, 'fpm_worker', 'member') from pg_roles where rolname = 'web "x"'}), 't|t', 'and may work');

	my $changed = copy_sql('changed');
	spew($files[0] =~ s/^\Q$src\E\/sql/$changed/r, "-- changed\n");
	is(ctl('', 'migrate', @db, '--sql', $changed), 2, 'a migration changed afterwards');
	like($err, qr{\Q$changed\E/migrations/0*1_.*: has been changed since}, 'is named');

	my $gap = copy_sql('gap');
	spew(sprintf("%s/migrations/%04d_later.sql", $gap, $count + 2), 'select 1');
	is(ctl('', 'migrate', @db, '--sql', $gap), 2, 'a gap in the numbers');
	like($err, qr/migration @{[$count + 1]} was expected here/, 'is named');

	my $odd = copy_sql('odd');
	spew("$odd/migrations/zebra.sql", 'select 1');
	is(ctl('', 'migrate', @db, '--sql', $odd), 2, 'a file without a number');
	like($err, qr/zebra\.sql: the name of a migration is/, 'is named');

	my $newer = copy_sql('newer');
	spew(sprintf("%s/migrations/%04d_later.sql", $newer, $count + 1), 'create table public.later (x int)');
	is(ctl('', 'migrate', @db, '--sql', $newer), 0, 'a newer version');
	like($out, qr/\Amigration @{[$count + 1]}: later: applied$/m, 'applies what is missing, and that alone');
	is(ctl('', 'migrate', @db), 2, 'an older one then');
	like($err, qr/the database is at migration @{[$count + 1]}, and this program knows of $count only/, 'is refused');
	$pg->psql("delete from fpm.migrations where number = $count + 1; drop table public.later");

	is(ctl('', 'migrate', @db, '--sql', "$dir/site"), 2, 'a directory without SQL');
	like($err, qr{site/migrations: No such file}, 'is named');
	mkdir $_ for "$dir/empty-sql", "$dir/empty-sql/migrations";
	is(ctl('', 'migrate', @db, '--sql', "$dir/empty-sql"), 2, 'a directory without migrations');
	like($err, qr/holds no migration/, 'is named');
	my $odder = copy_sql('odder');
	mkdir sprintf("%s/migrations/%04d_folder.sql", $odder, $count + 1);
	is(ctl('', 'migrate', @db, '--sql', $odder), 2, 'a migration that cannot be read');
	like($err, qr/_folder\.sql: Is a directory/, 'is named');
	my $ungranted = copy_sql('ungranted');
	spew("$ungranted/grants.sql", 'grant nonsense');
	is(ctl('', 'migrate', @db, '--sql', $ungranted), 2, 'grants with an error');
	like($err, qr{\Q$ungranted\E/grants\.sql: syntax error}, 'are named');
	is(ctl('', 'migrate', @db, '--worker', 'pg_mine'), 2, 'a role that may not be');
	like($err, qr/^promptctl: pg_mine: /, 'is named');
	$pg->psql('create table kept as select * from fpm.migrations where number = 1; delete from fpm.migrations where number = 1');
	is(ctl('', 'migrate', @db), 2, 'a gap in the record');
	like($err, qr/record of migrations has a gap at 1$/m, 'is named');
	$pg->psql('insert into fpm.migrations select * from kept; drop table kept');
	is(ctl('', 'migrate', @db), 0, 'after all that, it still works');
	is(ctl('', 'migrate', @db, '--worker', ''), 2, 'a worker without a name');
};

subtest 'migrate from two machines at once' => sub {
	$pg->psql('create database twice', 'postgres');
	my $conninfo = $pg->conninfo =~ s/dbname=\S+/dbname=twice/r;
	my @pids;
	for my $n (1, 2, 3) {
		my $pid = fork // die "fork: $!";
		if (!$pid) {
			open STDOUT, '>', "$dir/twice.$n";
			open STDERR, '>&', \*STDOUT;
			exec $promptctl, 'migrate', '--database', $conninfo or exit 127;
		}
		push @pids, $pid;
	}
	my @status = map { waitpid $_, 0; $? >> 8 } @pids;
	my @said = map { slurp("$dir/twice.$_") } 1, 2, 3;
	is_deeply(\@status, [0, 0, 0], 'all are done') or diag @said;
	is((grep { /: applied$/m } @said), 1, 'one did the work');
	is((grep { /applied before/ } @said), 2, 'the others found it done');
};

my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/;
my ($supplier, $other) = ('', '00000000-0000-4000-8000-00000000000b');

subtest 'supplier' => sub {
	is(ctl('', 'supplier', 'add', @db, '--tier', 'starter'), 0, 'add');
	like($out, qr/\A$uuid\n\z/, 'prints the id and nothing else');
	chomp($supplier = $out);
	is(ctl('', 'supplier', 'add', '--id', $other, '--organization', $other, '--tier=scale', @db), 0, 'with an id and an organization');
	is($out, "$other\n", 'which it keeps');
	is(ctl('', 'supplier', 'add', @db), 2, 'no tier');
	like($err, qr/^promptctl: --tier is missing\nusage: /, 'is asked for');
	is(ctl('', 'supplier', 'add', @db, '--tier', 'scale', '--id', 'x'), 2, 'an id that is none');
	like($err, qr/^promptctl: invalid input syntax for type uuid: "x"$/, 'is named');
	is(ctl('', 'supplier', 'tier', $supplier, 'professional', @db), 0, 'tier');
	is($err, '', 'a plan that there is needs no warning');
	is($pg->psql("select subscription_tier from user_profiles where id = '$supplier'"), 'professional', 'is set');
	is(ctl('', 'supplier', 'tier', $supplier, '', @db), 2, 'no tier');
	like($err, qr/^promptctl: TIER is missing\nusage: /, 'is asked for');
	is($pg->psql("select subscription_tier from user_profiles where id = '$supplier'"), 'professional', 'and takes nobody off his plan');
	is(ctl('', 'supplier', 'tier', $supplier, 'profesional', @db), 0, 'a plan that there is not');
	is($err, "promptctl: warning: no plan is called profesional yet: until ai_usage_limits has it, the default limits hold\n", 'is one to come, and told');
	is(ctl('', 'supplier', 'add', '--id', $supplier, '--tier', 'profi', @db), 0, 'likewise where a supplier is added');
	like($err, qr/^promptctl: warning: no plan is called profi yet/, 'with its warning');
	is(ctl('', 'supplier', 'tier', $supplier, 'professional', @db), 0, 'and back');
	is(ctl('', 'supplier', 'tier', @db, '00000000-0000-4000-8000-00000000000f', 'scale'), 1, 'of nobody');
	like($err, qr/there is no supplier 0{8}-/, 'is said');
	is(ctl('', 'supplier', 'list', @db), 0, 'list');
	like($out, qr/^id +organization +tier +keys  month_requests  month_cost_cents\n/, 'has a heading');
	like($out, qr/^\Q$supplier\E  - +professional +0 +0 +0$/m, 'and aligned columns');
	is(ctl('', 'supplier', 'list', '--json', @db), 0, 'list --json');
	my ($one) = grep { $_->{id} eq $other } @{decode_json($out)};
	is_deeply($one, {id => $other, organization => $other, tier => 'scale', keys => 0, month_requests => 0, month_cost_cents => 0}, 'is JSON');
	is(ctl('', 'supplier', 'list', '--csv', @db), 0, 'list --csv');
	like($out, qr/^\Q$other\E,\Q$other\E,scale,0,0,0\r\n/m, 'is CSV');
};

subtest 'key' => sub {
	is(ctl('', 'key', 'create', $supplier, '--name', 'a "web", site', @db), 0, 'create');
	like($out, qr/\Apfk_[0-9A-Za-z]{38}\n\z/, 'prints the key and nothing else');
	like($err, qr/^promptctl: key $uuid: it is shown this once/, 'and a note beside it');
	chomp(my $key = $out);
	my ($id) = $err =~ /($uuid)/;
	unlike($pg->psql('select k::text from fpm.api_keys k'), qr/\Q$key\E/, 'the database does not have it');
	is($pg->psql("select supplier_id from fpm.authenticate(encode(sha256('$key'), 'hex'))"), $supplier, 'but knows it');
	is(ctl('', 'key', 'create', $supplier, '--name', $_, @db), 2, 'no name: ' . length) for "a\nb", "\e[2J", 'x' x 201, "\xff";
	is(ctl('', 'key', 'create', '00000000-0000-4000-8000-00000000000f', @db), 1, 'for nobody');
	is($out, '', 'prints none');
	is(ctl('', 'key', 'create', $other, @db), 0, 'another');
	chomp(my $second = $out);
	isnt($second, $key, 'differs');
	is(ctl('', 'key', 'list', @db, '--json'), 0, 'list');
	is(scalar @{decode_json($out)}, 2, 'has both');
	is(ctl('', 'key', 'list', $supplier, @db, '--json'), 0, 'of one supplier');
	my ($one, @more) = @{decode_json($out)};
	is(@more, 0, 'has one');
	like(delete $one->{created}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'with a time in UTC');
	is_deeply($one, {id => $id, supplier => $supplier, hint => substr($key, 0, 8), name => 'a "web", site', revoked => undef}, 'and who, what for');
	is(ctl('', 'key', 'list', $supplier, @db, '--csv'), 0, 'as CSV');
	like($out, qr/,"a ""web"", site",/, 'quoted');
	is(ctl('', 'key', 'revoke', $id, @db), 0, 'revoke');
	is($pg->psql("select count(*) from fpm.authenticate(encode(sha256('$key'), 'hex'))"), 0, 'it is not known any more');
	is(ctl('', 'key', 'revoke', $id, @db), 1, 'a second time');
	like($err, qr/no live key is meant by \Q$id\E/, 'there is none');
	is(ctl('', 'key', 'revoke', substr($second, 0, 8), @db), 0, 'by its first characters');
	unlike($out . $err, qr/\Q$second\E/, 'which are all that is shown');
	is(ctl('', 'key', @$_, @db), 2, "key @$_") for ['create', 'nonsense'], ['list', 'nonsense'];
	like($err, qr/invalid input syntax for type uuid/, 'is no supplier');
	is(ctl('', 'key', 'list', @db), 0, 'list for people');
	like($out, qr/^\Q$id\E .*Z  +\d{4}-.*Z$/m, 'says when it ended');
};

# One call through the ledger, as the daemon makes it.
sub ledger_row {
	my ($hash) = @_;
	my $ticket = $pg->psql("select ticket from fpm.admit('$hash', 'req_1', 'email_template', 'generate-email-template', 'openai', 'gpt-4o-mini',"
		. " 0, 0, 0, 1000, 800, 1000, null, 'off', 0, 60000, 60000, 'ctl.t', false)");
	$pg->psql("select fpm.settle('$ticket', 'settled', 700, 0, 400, false, 1200, null, null)");
}

subtest 'usage and audit' => sub {
	ctl('', 'key', 'create', $supplier, @db);
	chomp(my $key = $out);
	my $hash = $pg->psql("select encode(sha256('$key'), 'hex')");
	my $today = $pg->psql("select (now() at time zone 'UTC')::date");
	is(ctl('', 'usage', @db), 0, 'usage of nothing');
	like($out, qr/\Aday .*cost_cents  tokens_saved  saved_cents\n\z/, 'is a heading');
	is(ctl('', 'usage', @db, '--json'), 0, 'as JSON');
	is_deeply(decode_json($out), [], 'an empty array');
	ledger_row($hash) for 1, 2;
	is(ctl('', 'usage', $supplier, @db), 0, 'usage');
	like($out, qr/^$today  \Q$supplier\E  email_template  gpt-4o-mini +2 +0 +0 +2200 +0\.069 +0 +0$/m, 'by day, feature and model');
	like($out, qr/^total  .* 2200 +0\.069 +0 +0$/m, 'with a total');
	is(ctl('', 'usage', @db, '--json'), 0, 'as JSON');
	like($out, qr/"cost_cents": 0\.069,/, 'exact');
	is_deeply([map { $_->{requests} } @{decode_json($out)}], [2], 'without a total');
	is(ctl('', 'usage', @db, '--csv', '--from', '2020-01-01', '--to', '2020-12-31'), 0, 'of another time');
	is($out, "day,supplier,feature,model,requests,cached,failed,tokens,cost_cents,tokens_saved,saved_cents\r\n", 'is nothing');
	for my $day ('nonsense', 'yesterday', 'infinity', '01/02/2026', '2026-1-5', '2026-11-27 05:00', '') {
		for my $command ('usage', 'refused', 'audit') {
			is(ctl('', $command, @db, '--to', $day), 2, "$command: a date that is none: $day");
			like($err, qr/^promptctl: "\Q$day\E" is no day such as 2026-11-27\nusage: promptctl $command/, 'is named');
		}
	}
	is(ctl('', 'usage', @db, '--from', '2026-02-30'), 2, 'a day that no calendar has');
	like($err, qr/"2026-02-30"/, 'is named');
	for my $command ('usage', 'refused', 'audit') { # an audit of no day would find that all is equal
		is(ctl('', $command, @db, '--from', '2026-11-02', '--to', '2026-11-01'), 2, "$command: a period that ends before it begins");
		like($err, qr/^promptctl: --to 2026-11-01 is before --from 2026-11-02\nusage: promptctl $command/, 'is told');
	}
	is(ctl('', 'audit', @db, '--from', $today, '--to', $today), 0, 'a period of one day is one');
	is(ctl('', 'usage', @db, $other), 0, 'of another supplier');
	unlike($out, qr/email_template/, 'is not this one');
	$pg->psql("alter database $pg->{database} set datestyle = 'SQL, DMY'");
	is(ctl('', 'usage', @db, '--csv'), 0, 'where the database writes days otherwise');
	like($out, qr/^$today,/m, 'they are written as ever');
	$pg->psql("alter database $pg->{database} reset datestyle");

	is(ctl('', 'audit', @db), 0, 'audit');
	like($out, qr/are equal$/m, 'finds nothing');
	is(ctl('', 'audit', @db, '--json', '--from', $today), 0, 'as JSON');
	is_deeply(decode_json($out), [], 'an empty array');
	$pg->psql("update fpm.counters set day_count = day_count + 1 where supplier_id = '$supplier'");
	is(ctl('', 'audit', @db), 1, 'a counter that is wrong');
	like($out, qr/^counter: requests of the day +\Q$supplier\E email_template +2 +3$/m, 'is listed');
	like($err, qr/1 difference /, 'and counted');
};

subtest 'doctor' => sub {
	my $settings = sub { spew('doctor.conf', "[www]\ndatabase = $_[0]\nendpoints = $dir/ok\n" . ($_[1] // '')) };
	$settings->($pg->conninfo('fpm_web'));
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'a role that does not exist');
	like($out, qr/^good  settings: doctor\.conf$/m, 'the settings are good');
	like($out, qr/^good  endpoints: 1 in \S+, 0 errors$/m, 'the endpoints too');
	like($out, qr/^good  provider: none is set/m, 'the sample provider is said');
	like($out, qr/^BAD   database: cannot be reached: .*fpm_web/m, 'the database is not');
	$pg->psql('create role fpm_nobody login');
	$settings->($pg->conninfo('fpm_nobody'));
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'a role without rights');
	like($out, qr/^BAD   database: fpm_nobody may not do the daemon's work: promptctl migrate --worker fpm_nobody$/m, 'is told what to do');
	is(ctl('', 'migrate', @db, '--worker', 'fpm_nobody'), 0, 'which, done,');
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 0, 'helps');
	like($out, qr/^good  database: reached as fpm_nobody, with the daemon's rights and no more$/m, 'as it says');
	for my $closed ('>&-', '>&- <&-', '>&- <&- 2>&-') {
		is(system("cd '$dir' && PGAPPNAME=closed '$promptctl' doctor --config doctor.conf 2>err $closed") >> 8, 2, "standard streams that came closed: $closed");
		unlike(slurp("$dir/err"), qr/frontend/, 'do not lead to the database');
	}
	unlike($pg->said($pg->{log}), qr/invalid frontend message/, 'which tells of nothing that it was sent');
	$pg->psql('alter role fpm_nobody set synchronous_commit = off');
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'commits that a crash may forget');
	like($out, qr/^BAD   database: synchronous_commit is off/m, 'are said');
	$pg->psql('alter role fpm_nobody reset synchronous_commit');
	$pg->psql("alter role fpm_nobody set default_transaction_isolation = 'repeatable read'; alter role fpm_nobody set default_transaction_read_only = on");
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'transactions that calls would fail in');
	like($out, qr/^BAD   database: it can only be read: /m, 'that nothing can be written is said');
	like($out, qr/^BAD   database: default_transaction_isolation is repeatable read: /m, 'and their isolation');
	$pg->psql('alter role fpm_nobody reset default_transaction_isolation; alter role fpm_nobody reset default_transaction_read_only');
	is(ctl('', 'doctor', '--config', 'doctor.conf', '--database', $pg->conninfo), 0, 'another database');
	like($out, qr/^good  database: reached as postgres, which may do more/m, 'is looked at instead');
	is(ctl('', 'doctor', '--config', 'doctor.conf', '--database', $pg->conninfo =~ s/dbname=\S+/dbname=template1/r), 1, 'one without our schema');
	like($out, qr/^BAD   database: our schema is not there: promptctl migrate$/m, 'is told what to do');
	$pg->psql('alter function fpm.admit_ready rename to admit_later');
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'a schema of an earlier version');
	like($out, qr/^BAD   database: older than this program: promptctl migrate$/m, 'is told what to do');
	$pg->psql('alter function fpm.admit_later rename to admit_ready');
	my $key = spew('provider.key', "sk-secret\n");
	chmod 0644, $key;
	$settings->($pg->conninfo, "listen = $dir/none.sock\nopenai.api_key_file = $key\nlocal.base_url = http://127.0.0.1:24001/v1\n");
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'a key file that all can read, and no daemon');
	like($out, qr/^BAD   openai\.api_key_file: \S+ can be read by others: chmod 600$/m, 'the file is said');
	like($out, qr/^BAD   daemon: does not listen on \S+: No such file/m, 'the daemon is said');
	like($out, qr/^good  provider: openai, with a key$/m, 'the providers are listed');
	like($out, qr{^good  provider: local at http://127.0.0.1:24001/v1, without a key$}m, 'each');
	unlike($out . $err, qr/secret/, 'the key is not');
	mkdir "$dir/models";
	spew('models/one.prompt', "---\nmodel: local/x\nfpm.fallback: [openai/gpt-unheard-of, openai/gpt-4.1, anthropic/claude-opus-5]\nfpm.feature: f\nfpm.answer: a\n---\nhello\n");
	$settings->($pg->conninfo, "endpoints = $dir/models\nopenai.base_url = http://127.0.0.1:24001/v1\nanthropic.base_url = http://127.0.0.1:24001\n");
	is(ctl('', 'model', 'disable', @db, 'openai/gpt-4.1'), 0);
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'models that are not to be had');
	like($out, qr{^BAD   model: local/x, which \S+/one\.prompt names: its provider is not set$}m, 'one of a provider that is not set');
	like($out, qr{^BAD   model: openai/gpt-unheard-of, which \S+/one\.prompt names: not in ai_models: promptctl model add$}m, 'one that has no price');
	like($out, qr{^BAD   model: openai/gpt-4\.1, which \S+/one\.prompt names: not active: promptctl model enable$}m, 'one that was disabled');
	unlike($out, qr/claude/, 'the others are not spoken of');
	is(ctl('', 'model', 'enable', @db, 'openai/gpt-4.1'), 0);
	spew('models/one.prompt', "---\nmodel: openai/gpt-4.1\nfpm.feature: f\nfpm.answer: a\n---\nhello\n");
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 0, 'where all are to be had');
	like($out, qr/^good  models: all that are named are to be had$/m, 'it says so');
	$settings->($pg->conninfo, "endpoints = $dir/empty\n");
	mkdir "$dir/empty";
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'no endpoint');
	like($out, qr/promptctl new writes a first one/, 'is told what to do');
	$settings->($pg->conninfo, "endpoints = $dir/none\n");
	is(ctl('', 'doctor', '--config', 'doctor.conf'), 1, 'not even a directory');
	is(ctl('', 'doctor', '--config', 'bad.conf'), 1, 'bad settings');
	like($out, qr/\ABAD   settings: bad\.conf\n\z/, 'end it');
};

# What is not to be looked into belongs to root, whoever runs it (proc(5)).
subtest 'what it holds in memory' => sub {
	my $nobody = getpwnam 'nobody';
	plan skip_all => 'there is no nobody' if $> == 0 && !$nobody;
	spew('held.conf', "[www]\nopenai.api_key = sk-held\n");
	chmod 0755, $dir;
	pipe my $input, my $held;
	my @as = $> == 0 ? ('setpriv', "--reuid=$nobody", '--clear-groups') : ();
	my $call = Harness::Process->start(name => 'held', dir => $dir, cwd => $dir, stdin => $input, env => {PROMPT_FPM_KEY => 'pfk_nobody'},
		command => [@as, $promptctl, 'call', 'faq.prompt', '--config', 'held.conf']);
	my $proc = '/proc/' . $call->pid;
	ok((await { slurp("$proc/comm") eq "promptctl\n" && (stat "$proc/environ")[4] == 0 }), 'is nobody else\'s to read');
	like(slurp("$proc/limits"), qr/^Max core file size +0 +0 /m, 'and comes into no core file');
	like(slurp("$proc/status"), qr/^Uid:\s+@{[$nobody]}\s/m, 'of a user who is not root') if $> == 0;
	$call->stop;
	chmod 0700, $dir;
};

subtest 'call' => sub {
	spew('call.conf', "[www]\ndatabase = " . $pg->conninfo('fpm_nobody') . "\n");
	my @config = ('--config', 'call.conf');
	is(ctl('{}', 'call', 'faq.prompt', @config), 2, 'without a key');
	like($err, qr/PROMPT_FPM_KEY must hold/, 'says where it goes');
	ctl('', 'key', 'create', $other, @db);
	chomp(local $ENV{PROMPT_FPM_KEY} = $out);
	is(ctl('{"question": "Do you ship abroad?"}', 'call', 'faq.prompt', @config), 0, 'a question') or diag $err;
	my $answer = decode_json($out || '{}');
	ok(length $answer->{answer}, 'is answered');
	ok($answer->{usage}{tokensUsed} > 0, 'and metered');
	is($pg->psql("select state from ai_usage_tracking where supplier_id = '$other'"), 'settled', 'and in the ledger');
	is(ctl('{"question": "Do you ship abroad?"}', 'call', 'faq.prompt', @config), 0, 'again');
	ok(decode_json($out || '{}')->{usage}{fromCache}, 'is answered from the cache');
	is(ctl('{"question": "And in pieces?"}', 'call', 'faq.prompt', @config, '--stream', '--verbose'), 0, 'a stream');
	like($err, qr{^Content-Type: text/plain}mi, 'its head with --verbose');
	ok(length $out && $out !~ /^\{/, 'and its text');
	is(ctl('{"question": "And as events?"}', 'call', 'faq.prompt', @config, '--events'), 0, 'events');
	like($out, qr/^data: .*usage/m, 'end in the usage');
	is(ctl('{"nonsense": 1}', 'call', 'faq.prompt', @config), 1, 'an input that does not fit');
	is(decode_json($out || '{}')->{code}, 'invalid_input', 'is refused by the pipeline');
	is(ctl('{"question": ', 'call', 'faq.prompt', @config, '--stream'), 2, 'no JSON');
	is(ctl('', 'call', 'broken.prompt', @config), 1, 'a file with errors');
	like($err, qr/^broken\.prompt:\d+:\d+: error: /, 'says them');
	spew('faq.txt', slurp("$dir/faq.prompt"));
	is(ctl('{}', 'call', 'faq.txt', @config), 2, 'a file that nobody would serve');
	is($err, "promptctl: faq.txt: an endpoint's file is named *.prompt\n", 'is told why');
	is(ctl('{}', 'call', 'faq.prompt', '--config', 'absent.conf'), 2, 'no settings');
	is(ctl('', 'call', 'faq.prompt', @config), 1, 'nothing on standard input is an empty object');
	is(decode_json($out || '{}')->{code}, 'invalid_input', 'which does not fit');
	spew('away.conf', "[www]\ndatabase = host=$dir user=x\n");
	is(ctl('{"question": "Is anybody there?"}', 'call', 'faq.prompt', '--config', 'away.conf'), 1, 'no database');
	is(decode_json($out || '{}')->{code}, 'database_unavailable', 'is said as the pipeline says it');
	spew('split.conf', "[www]\ndatabase = host=$dir password=s3cr et-pw\n");
	is(ctl('{"question": "Is anybody there?"}', 'call', 'faq.prompt', '--config', 'split.conf'), 1, 'a connection string that cannot be read');
	is(decode_json($out || '{}')->{code}, 'database_unavailable', 'is no database');
	like($err, qr/cannot connect: - the setting `database`/, 'what is wrong is said');
	unlike($out . $err, qr/s3cr|et-pw/, 'without any of the password');
	spew('keyless.conf', "[www]\nopenai.api_key_file = $dir/absent\n");
	is(ctl('{"question": "Is anybody there?"}', 'call', 'faq.prompt', '--config', 'keyless.conf'), 2, 'a pool that does not start');
	like($err, qr/cannot read the key file .*no answer came: --verbose shows the log/s, 'is said');
	is(ctl('{"question": "Is anybody there?"}', 'call', 'faq.prompt', '--config', 'bad.conf'), 1, 'bad settings');
	like($err, qr/^bad\.conf:3: /m, 'are said');
	local $ENV{PROMPT_FPM_KEY} = 'pfk_nobody';
	is(ctl('{"question": "Who am I?"}', 'call', 'faq.prompt', @config), 1, 'a wrong key');
	is(decode_json($out || '{}')->{code}, 'unauthenticated', 'is refused too');
};

done_testing;
