#!/usr/bin/perl
# quickstart.t - ./quickstart where things go wrong: interrupted, hung up, half of it dead, in an odd environment. The installation is left out (what
# is missing would be installed, so that dpkg-query is told to say that nothing is) and so is the build, which is this one; t/check/demo tries both.
use strict;
use warnings;

use Cwd qw(abs_path);
use FastCGI;
use Fcntl qw(O_NOCTTY O_NONBLOCK O_RDONLY O_RDWR O_WRONLY);
use File::Temp qw(tempdir);
use Harness::Process qw(await patience);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::More;

my $source = abs_path($ENV{PROMPT_FPM_SRC} // '.');
my $build = abs_path($ENV{PROMPT_FPM_BUILD} // '.');
my $root = $> == 0;
plan skip_all => 'lighttpd is not installed' unless grep { -x "$_/lighttpd" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'there are no users postgres and www-data to become' if $root && grep { !defined getpwnam $_ } qw(postgres www-data);

my $dir = tempdir('pf-quickstart-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my ($owner, $quickstart) = ($$, "$dir/quickstart");
chmod 0755, $dir;
system('cp', '-a', map({ "$source/$_" } qw(quickstart .ci etc sql)), "$dir/") == 0 or BAIL_OUT('the checkout cannot be copied');
system("mkdir -p '$dir/var' '$dir/build-aux' '$dir/bin' && ln -s '$build' '$dir/var/build'") == 0 or BAIL_OUT('no place for a state');
executable($_, '') for "$dir/configure", "$dir/Makefile.in", "$dir/build-aux/tap-driver.sh";
executable("$dir/bin/dpkg-query", "#!/bin/sh\nprintf installed\n");
delete @ENV{grep { /^(?:PG|MAKE|MFLAGS|CDPATH$|OPENAI_|ANTHROPIC_|LOCAL_BASE_URL|DEFAULT_MODEL|\w*_proxy$)/i } keys %ENV};
@ENV{qw(PATH PORT)} = ("$dir/bin:$ENV{PATH}", free_port());

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
END {
	local $?;
	return unless defined $owner && $owner == $$;
	kill 'INT', ours(qr{\Q$dir\E/});
	1 while waitpid(-1, POSIX::WNOHANG()) > 0;
	system("timeout 60 '$quickstart' stop >/dev/null 2>&1");
}

sub executable {
	my ($file, $text) = @_;
	open my $out, '>', $file or die "$file: $!";
	print $out $text;
	close $out;
	chmod 0755, $file;
}

sub slurp {
	my ($file) = @_;
	open my $in, '<', $file or return '';
	local $/;
	return <$in> // '';
}

sub free_port { return IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport }

# Runs one command of it to its end; (exit status, what it printed).
sub run {
	my (@arguments) = @_;
	my $said = `'$quickstart' @arguments 2>&1 </dev/null`;
	return ($? >> 8, $said);
}

# Starts it in the foreground in a session of its own, with its output where `open` opens it, and reads that from $from until it says the words.
sub foreground {
	my ($from, $open, $until) = @_;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		POSIX::setsid();
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
		open STDOUT, '>&', $open->();
		open STDERR, '>&', \*STDOUT;
		close $from;
		exec $quickstart or POSIX::_exit(127);
	}
	my ($said, $select) = ('', IO::Select->new($from));
	while ($said !~ /$until/ && $select->can_read(patience(60)) && sysread $from, $said, 4096, length $said) { }
	like($said, $until, 'it runs');
	return $pid;
}

# The same with its output in a pipe: its process id, and the end that we read.
sub piped {
	my ($until) = @_;
	my $fifo = "$dir/fifo";
	POSIX::mkfifo($fifo, 0600);
	sysopen my $from, $fifo, O_RDONLY | O_NONBLOCK or die "$fifo: $!";
	my $pid = foreground($from, sub { open my $to, '>', $fifo or die "$fifo: $!"; return $to }, $until);
	return ($pid, $from);
}

# The processes that it started: name => process id.
sub parts {
	my %parts = map { m{([\w-]+)\.ours$} ? ($1 => (split ' ', slurp($_))[0]) : () } glob "$dir/var/run/*.ours";
	my ($postgres) = slurp("$dir/var/pg/postmaster.pid") =~ /^(\d+)/;
	return (%parts, $postgres ? (postgres => $postgres) : ());
}

sub is_gone { return slurp("/proc/$_[0]/stat") !~ /\) [^ZX] / }

# The process ids of those with such a command line; of PostgreSQL servers of ours, whether they have written a pid file or not.
sub ours { my ($command) = @_; return grep { slurp("/proc/$_/cmdline") =~ $command } map { m{(\d+)$} } glob '/proc/[0-9]*' }
sub servers { return ours(qr{/postgres\0-D\0\Q$dir\E/var/pg\0}) }

sub ignores_term { return hex((slurp("/proc/$_[0]/status") =~ /^SigIgn:\s*\w*(\w{4})$/m)[0] // 0) & 1 << POSIX::SIGTERM - 1 }

# All that ran is gone by the time it ends.
sub ends {
	my ($pid, %parts) = @_;
	ok((await { waitpid($pid, POSIX::WNOHANG()) == $pid } 60), 'it ends') or kill 'KILL', $pid;
	ok((await { is_gone($parts{$_}) } 2), "and so has $_") for sort keys %parts;
	is_deeply({parts()}, {}, 'nothing else runs');
}

# A pseudo-terminal: its master, and what opens the other end.
sub terminal {
	my $number = pack 'i', 0;
	sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY or return;
	ioctl($master, 0x40045431, $number) && ioctl($master, 0x80045430, $number) or return; # TIOCSPTLCK, TIOCGPTN
	return ($master, sub { open my $slave, '+<', '/dev/pts/' . unpack 'i', $number or die "pts: $!"; return $slave });
}

subtest 'interrupted when nobody reads any more' => sub {
	my ($pid, $from) = piped(qr/Ctrl-C stops it all/);
	my %parts = parts();
	is(join(' ', sort keys %parts), 'postgres prompt-fpm web', 'all of it');
	close $from;
	kill 'INT', $pid;
	ends($pid, %parts);
};

subtest 'interrupted twice' => sub {
	my ($pid, $from) = piped(qr/Ctrl-C stops it all/);
	my %parts = parts();
	my $request = FastCGI->start("$dir/var/run/prompt-fpm.sock", uri => '/api/ai/ping', method => 'POST', body => 'x', hold => 1);
	kill 'INT', $pid;
	ok((await { is_gone($parts{web}) }), 'it stops');
	kill 'INT', $pid;
	$request->release;
	ends($pid, %parts);
};

# What bash reads before the script.
sub probe {
	my ($text) = @_;
	executable("$dir/probe", "unset BASH_ENV\n$text\n");
	return "$dir/probe";
}

# Between the command that starts something and the next one, at each place where something is started, until there are no more.
subtest 'interrupted just as something is started' => sub {
	for (my $number = 1; ; $number++) {
		local $ENV{BASH_ENV} = probe("starts=0; set -T\n"
			. "trap '[[ \${!-} = \"\${seen-}\" ]] || { seen=\$!; ((++starts != $number)) || { echo \$! >$dir/started; kill -INT \$\$; }; }' DEBUG");
		unlink "$dir/started";
		my ($status, $said) = run('start');
		if (!-e "$dir/started") {
			is($status, 0, 'not interrupted: it starts') or diag($said);
			cmp_ok($number, '>', 4, 'after a database, a migration, a daemon and a web server');
			last;
		}
		chomp(my $started = slurp("$dir/started"));
		is($status, 130, "interrupted at start $number") or diag($said);
		ok(is_gone($started), 'what was started has gone') or await { is_gone($started) } 10;
		is_deeply({parts()}, {}, 'nothing runs');
		ok((await { !servers() } 2), 'no server is left') or last;
	}
	is((run('stop'))[0], 0, 'it stops');
};

# A server that is just starting has not said yet who it is: this one, because it reads its settings for as long as we write them.
subtest 'interrupted while the database starts' => sub {
	my $fifo = "$dir/var/pg/probe.conf";
	my ($uid, $gid) = (stat "$dir/var/pg")[4, 5];
	my $settings = slurp("$dir/var/pg/postgresql.conf");
	POSIX::mkfifo($fifo, 0600) && chown $uid, $gid, $fifo or die "$fifo: $!";
	executable("$dir/var/pg/postgresql.conf", "${settings}include 'probe.conf'\n");
	local $ENV{BASH_ENV} = probe('wait() { [ "${FUNCNAME[1]}" != end_stage ] || echo "it waits for $1."; builtin wait "$@"; }');
	my ($pid, $from) = piped(qr/starting the database/);
	my $to;
	ok((await { sysopen $to, $fifo, O_WRONLY | O_NONBLOCK } 60), 'the server is under way');
	kill 'INT', $pid;
	my ($said, $select) = ('', IO::Select->new($from));
	while ($said !~ /it waits for \d+\./ && $select->can_read(patience(60)) && sysread $from, $said, 4096, length $said) { }
	my $stage = ($said =~ /it waits for (\d+)\./)[0] // 0;
	ok($stage, 'it is told to end') or diag($said);
	my $end = sub { waitpid($pid, POSIX::WNOHANG()) == $pid };
	# Had that ended the stage, the server would be left until after the end.
	my $ended = (await { is_gone($stage) || ignores_term($stage) } 60) && is_gone($stage) && await(sub { $end->() }, 60);
	unlink $fifo;
	executable("$dir/var/pg/postgresql.conf", $settings);
	close $to;
	ok($ended || (await { $end->() } 60), 'it ends');
	ok((await { !servers() } 2), 'no server is left');
};

subtest 'interrupted while another one waits' => sub {
	my ($pid, $from) = piped(qr/starting the database/);
	kill 'STOP', $pid;
	my $other = Harness::Process->start(name => 'other', dir => $dir, command => [$quickstart, 'start']);
	ok((await { (readlink("/proc/@{[$other->pid]}/fd/9") // '') =~ /lock$/ }), 'it waits');
	kill $_, $pid for qw(INT CONT);
	close $from;
	ok((await { waitpid($pid, POSIX::WNOHANG()) == $pid } 60), 'the one ends');
	ok($other->wait(60), 'the other starts');
	is($other->status, 0, 'and says so') or diag($other->output);
	my %parts = parts();
	ok(!is_gone($parts{$_}), "$_ runs") for qw(postgres prompt-fpm web);
	is((run('stop'))[0], 0, 'it stops');
};

subtest 'its terminal is closed' => sub {
	my ($master, $slave) = terminal() or plan skip_all => 'there are no pseudo-terminals';
	my $pid = foreground($master, $slave, qr/Ctrl-C stops it all/);
	my %parts = parts();
	close $master;
	ends($pid, %parts);
};

subtest 'in an odd environment' => sub {
	local %ENV = (%ENV, http_proxy => 'http://127.0.0.1:1', all_proxy => 'http://127.0.0.1:1', PGSERVICE => 'none', PGHOSTADDR => '127.0.0.9', CDPATH => '/tmp');
	my ($name) = $dir =~ m{([^/]+)$};
	my $said = `cd /tmp && bash $name/quickstart start 2>&1 </dev/null`;
	is($?, 0, 'a proxy, a database of another program, other places to change to: it starts') or diag($said);
	like((run('env'))[1], qr/^export PROMPT_FPM_URL=http:/m, 'it runs');
	is((run('stop'))[0], 0, 'it stops');
	is_deeply({parts()}, {}, 'nothing runs any more');
};

subtest 'what is left of an earlier start' => sub {
	for my $victim (qw(prompt-fpm web)) {
		is((run('start'))[0], 0, 'it starts');
		my %before = parts();
		kill 'KILL', $before{$victim};
		ok((await { is_gone($before{$victim}) }), "$victim dies");
		local $ENV{PORT} = free_port();
		my ($status, $said) = run('start');
		is($status, 0, 'it starts again, on another port') or diag($said);
		my %after = parts();
		isnt($after{$_}, $before{$_}, "another $_, which has the new settings") for qw(prompt-fpm web);
		is((run('stop'))[0], 0, 'it stops');
		ok((await { is_gone($before{$_}) && is_gone($after{$_}) } 2), "no $_ runs any more") for qw(prompt-fpm web);
	}
};

# As in a container whose first process takes note of nobody's end.
subtest 'where the dead stay' => sub {
	my %prctl = (x86_64 => 157, aarch64 => 167);
	my $prctl = $prctl{(POSIX::uname())[4]};
	plan skip_all => 'the number of prctl is not known here' unless $prctl;
	is(syscall($prctl, 36, 1, 0, 0, 0), 0, 'what loses its parent is ours'); # PR_SET_CHILD_SUBREAPER
	is((run('start'))[0], 0, 'it starts');
	my %parts = parts();
	system('timeout', patience(30), $quickstart, 'stop');
	is($?, 0, 'it stops, and waits for nobody who is dead');
	like(slurp("/proc/$parts{$_}/stat"), qr/\) Z /, "$_ is") for qw(prompt-fpm web);
	syscall($prctl, 36, 0, 0, 0, 0);
	1 while waitpid(-1, POSIX::WNOHANG()) > 0;
};

done_testing();
