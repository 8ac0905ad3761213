#!/usr/bin/perl
# daemon.t - the daemon's processes: start, stop, drain, reload, death and replacement. Speaks FastCGI itself and asks for ping and status only, so
# that it needs neither a web server nor a database. What it says of wrong settings: settings.t.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Cwd qw(abs_path);
use FastCGI;
use Fcntl qw(O_NONBLOCK O_WRONLY);
use File::Temp qw(tempdir);
use Harness::Process qw(await patience now);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(sleep);

my $program = abs_path(($ENV{PROMPT_FPM_BUILD} // '.') . '/prompt-fpm') or BAIL_OUT('prompt-fpm is not built');
my $dir = tempdir('pf-daemon-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my $root = $> == 0;
my ($count, %daemon) = (0);
chmod 0755, $dir;
mkdir "$dir/endpoints";

sub spew {
	my ($file, $text) = @_;
	open my $out, '>', $file or die "$file: $!";
	print $out $text;
	close $out;
}

sub slurp {
	my ($file) = @_;
	open my $in, '<', $file or return '';
	local $/;
	return <$in> // '';
}

# The settings file of one daemon; undef takes a line away. [global] lines are written as 'global.name'.
sub settings {
	my ($d, %more) = @_;
	my %all = (
		'global.error_log' => "$d->{base}.log", 'global.pid' => "$d->{base}.pid", 'global.process_control_timeout' => '20s',
		listen => $d->{listen}, 'pm.max_children' => 2, 'pm.threads' => 8, 'ping.path' => '/ping', 'pm.status_path' => '/status',
		endpoints => "$dir/endpoints", database => "host=$dir connect_timeout=1", %more);
	my @global = map { /^global\.(.*)/ && defined $all{$_} ? "$1 = $all{$_}\n" : () } sort keys %all;
	my @pool = map { !/^global\./ && defined $all{$_} ? "$_ = $all{$_}\n" : () } sort keys %all;
	spew($d->{config}, join '', "[global]\n", @global, "[www]\n", @pool);
}

sub prepare {
	my (%more) = @_;
	my $base = "$dir/d" . ++$count;
	my $d = {base => $base, config => "$base.conf", listen => "$base.sock", log => $more{'global.error_log'} // "$base.log"};
	settings($d, %more);
	return $d;
}

sub launch {
	my ($d, @options) = @_;
	$d->{runs}++;
	# Workers that stay root can write what a build for coverage counts; those of another user have a test of their own.
	my @command = ($program, '-c', $d->{config}, ($root && !$d->{user} ? '-R' : ()), @options);
	$d->{process} = Harness::Process->start(name => "run$count-$d->{runs}", dir => $dir, cwd => $dir, command => \@command);
	return $d;
}

sub logged { return slurp($_[0]{log}) }
sub get { my ($d, $uri, %more) = @_; return FastCGI->get($d->{listen}, uri => $uri, %more) }
sub ping { my $r = get(@_, '/ping'); return $r && $r->{body} }
sub state_of { my ($d) = @_; my $r = get($d, '/status?json'); return $r ? decode_json($r->{body}) : {workers => []} }
sub serving { return sort { $a <=> $b } map { $_->{pid} } grep { $_->{state} eq 'serving' } @{state_of($_[0])->{workers}} }
sub children_of { return map { split } slurp("/proc/$_[0]/task/$_[0]/children") }
sub is_gone { return !-d "/proc/$_[0]" || slurp("/proc/$_[0]/stat") =~ /\) [ZX] / }

sub start {
	my $d = launch(prepare(@_));
	await { logged($d) =~ / start msg="\d+ workers/ || !$d->{process}->alive } or diag('it does not start');
	return $d;
}

sub stop {
	my ($d) = @_;
	is($d->{process}->stop(25), 0, 'it stops with status 0');
	return $d;
}

# Runs it to its end; (exit status, what it printed).
sub outcome {
	my ($d, @options) = @_;
	launch($d, @options);
	$d->{process}->wait(20) or diag('it goes on running'), $d->{process}->stop;
	return (($d->{process}->status // -1) >> 8, $d->{process}->output);
}

# A request that is in the server's hand until it is released.
sub held {
	my ($d, $uri) = @_;
	my $before = state_of($d)->{active} // 0;
	my $request = FastCGI->start($d->{listen}, uri => $uri // '/ping', method => 'POST', body => 'x', hold => 1);
	await { (state_of($d)->{active} // 0) > $before } or diag('the held request is not in hand');
	return $request;
}

subtest 'the command line' => sub {
	my $d = prepare();
	my ($status, $text) = outcome($d, '--version');
	is($status, 0);
	like($text, qr/^prompt-fpm \S+$/);
	($status, $text) = outcome($d, '--help');
	is($status, 0);
	like($text, qr/--config FILE.*--test.*--foreground/s);
	($status, $text) = outcome($d, '--no-such-option');
	is($status, 2);
	like($text, qr/--help/);
	is((outcome($d, 'operand'))[0], 2);
	($status, $text) = outcome($d, '-t');
	is($status, 0);
	like($text, qr/d1\.conf: the settings are good/);
};

subtest 'workers that are not root' => sub {
	plan skip_all => 'root alone can become somebody else' unless $root;
	my $d = prepare();
	$d->{user} = 1;
	my ($status, $text) = outcome($d);
	is($status, 1, 'they are never root by accident');
	like($text, qr/would run as root.*-R/);
	my ($owner, $group) = map { (getpwnam 'nobody')[$_] } 2, 3;
	settings($d, user => 'nobody', 'listen.owner' => 'nobody', 'listen.group' => $group, 'listen.mode' => '0640', slowlog => "$d->{base}.slow");
	launch($d);
	ok((await { @{[serving($d)]} == 2 }), 'they serve');
	is_deeply([(stat $d->{listen})[4, 5]], [$owner, $group], 'the socket has its owner');
	for my $pid (children_of($d->{process}->pid)) {
		my $both = qr/^Uid:\s+$owner\s+$owner\s+$owner\s+$owner\nGid:\s+$group\s+$group\s+$group\s+$group$/m;
		ok((await { slurp("/proc/$pid/status") =~ $both }), 'all of them as the user');
		unlike(slurp("/proc/$pid/status"), qr/^Groups:\s.*\b0\b/m, 'and in none of root\'s groups');
		is((stat "/proc/$pid/environ")[4], 0, 'their memory is not theirs to read');
	}
	my $roster = sub { return glob "$d->{base}.pid.workers/*" };
	is(scalar(grep { (stat)[4] == $owner } $roster->()), 2, 'and are on the roster');
	is((stat "$d->{base}.slow")[4], $owner, 'the slow log is theirs');
	rename "$d->{base}.$_", "$d->{base}.$_.1" for 'log', 'slow';
	$d->{process}->signal('USR1');
	ok((await { -e "$d->{base}.$_" && (stat _)[4] == $owner }), "a new $_ file is theirs") for 'log', 'slow';
	spew("$d->{base}.precious", '');
	chmod 0600, "$d->{base}.precious";
	rename "$d->{base}.log", "$d->{base}.log.2";
	symlink "$d->{base}.precious", "$d->{base}.log";
	$d->{process}->signal('USR1');
	# One that was busy at the first signal still writes to the first file.
	ok((await { slurp("$d->{base}.log.1") . slurp("$d->{base}.log.2") =~ /cannot be opened again: Permission denied/ || (stat "$d->{base}.precious")[4] == $owner }),
		'where a link lies in its place');
	is((stat "$d->{base}.precious")[4], 0, 'what it leads to is not given away');
	unlink "$d->{base}.log";
	$d->{process}->signal('USR1');
	ok((await { -e "$d->{base}.log" }), 'the link taken away, there is a log again');
	kill 'KILL', (serving($d))[0];
	ok((await { state_of($d)->{'workers died'} == 1 && @{[serving($d)]} == 2 }), 'one that dies is replaced');
	settings($d, group => 'daemon');
	$d->{process}->signal('HUP');
	ok((await { logged($d) =~ /would run as root.*the old settings go on/ }), 'a reload does not make them root');
	settings($d, user => 'daemon', group => 0);
	$d->{process}->signal('HUP');
	ok((await { state_of($d)->{reloads} == 1 }), 'a reload makes them another user');
	my $daemon = getpwnam 'daemon';
	like(slurp("/proc/$_/status"), qr/^Uid:\s+$daemon\s.*\nGid:\s+0\s/m) for serving($d);
	is(scalar(grep { (stat)[4] == $daemon } $roster->()), 2, 'who is on the roster too');
	# Of the one that was killed, until there is a database to sweep what it left.
	ok((await { 3 == (() = $roster->()) }), 'without those who ended in order') or diag(join ' ', $roster->());
	stop($d);
};

subtest 'start, ask, stop' => sub {
	my $d = start('listen.mode' => '0666', 'ping.response' => 'alive');
	is(ping($d), 'alive');
	is(slurp("$d->{base}.pid"), $d->{process}->pid . "\n", 'the pid file tells the master');
	is((stat $d->{listen})[2] & 0777, 0666, 'the socket has its mode');
	my $r = get($d, '/ping?x=1', method => 'HEAD');
	is($r->{body}, '', 'HEAD has no body');
	is($r->{headers}{'content-length'}, 5);
	is($r->{headers}{'content-type'}, 'text/plain');
	is(get($d, '/ping', keep => 1)->{body}, 'alive', 'a connection to be kept is closed');
	is(get($d, undef, params => {SCRIPT_NAME => '/ping', REQUEST_URI => undef})->{body}, 'alive', 'SCRIPT_NAME serves where there is no REQUEST_URI');
	isnt(get($d, undef, params => {REQUEST_URI => undef, SCRIPT_NAME => undef}, seconds => 5)->{body}, 'alive', 'a request without either is not for us');
	like(get($d, '/status')->{body}, qr/^pool: +www\nprocess manager: +static\nmaster: +@{[$d->{process}->pid]}\n.*^accepted: +[1-9]/ms);
	my $state = state_of($d);
	is(scalar @{$state->{workers}}, 2, 'two workers');
	is($_->{threads}, 8) for @{$state->{workers}};
	like($state->{workers}[0]{name}, qr/^[^:]+:$state->{workers}[0]{pid}:\d+$/, 'named host:pid:start');
	ok((await { state_of($d)->{active} == 1 }), 'the one that asks is in hand');
	like(get($d, '/status?metrics')->{body}, qr/^promptfpm_accepted_total\{pool="www"\} \d+$/m);
	isnt(get($d, '/pingpong')->{body}, 'alive', 'another path is for the pipeline');
	my @processes = children_of($d->{process}->pid);
	is(scalar @processes, 3, 'the children are two workers and a janitor');
	for my $pid (@processes) {
		like(slurp("/proc/$pid/limits"), qr/^Max core file size +0 +0 /m, 'no core files');
	}
	stop($d);
	ok(!-e $d->{listen}, 'the socket file is gone');
	ok(!-e "$d->{base}.pid", 'the pid file is gone');
	ok(!-e "$d->{base}.pid.workers", 'so is the roster');
	ok(is_gone($_), 'its children are gone') for @processes;
	like(logged($d), qr/start msg=.*stop msg=done/s);
	POSIX::mkfifo("$dir/unread", 0666);
	my ($status, $text) = outcome(prepare(slowlog => "$dir/unread"));
	is($status, 1, 'a start with a log that cannot be opened');
	like($text, qr/^prompt-fpm: slowlog: \S+unread: No such device or address$/, 'is told');
};

subtest 'over TCP' => sub {
	my $port = 25000 + $$ % 900;
	my $d = start(listen => "127.0.0.1:$port");
	$d->{listen} = "127.0.0.1:$port";
	await { ping($d) };
	is(ping($d), 'pong');
	settings($d, 'listen.allowed_clients' => '192.0.2.1');
	$d->{process}->signal('HUP');
	ok((await { !ping($d) }), 'who may not connect is not answered');
	ok((await { logged($d) =~ /was turned away/ }), 'and that is logged');
	stop($d);
};

subtest 'two hundred at once' => sub {
	my $d = start('pm.threads' => 16);
	my @requests = map { FastCGI->start($d->{listen}, uri => '/ping') } 1 .. 200;
	FastCGI->together(patience(20), @requests);
	is(scalar(grep { $_->complete && $_->text =~ /pong$/ } @requests), 200);
	my $state = state_of($d);
	is($state->{accepted}, (eval { my $sum = 0; $sum += $_->{accepted} for @{$state->{workers}}; $sum }), 'the workers add up');
	cmp_ok($state->{accepted}, '>=', 200);
	stop($d);
};

subtest 'one socket, one daemon' => sub {
	my $d = start();
	my ($status, $text) = outcome({%$d, runs => 10});
	is($status, 1, 'a second daemon is refused');
	like($text, qr/another server listens there/);
	is(ping($d), 'pong', 'the first one serves on');
	is(slurp("$d->{base}.pid"), $d->{process}->pid . "\n");
	my @processes = children_of($d->{process}->pid);
	my $request = held($d);
	kill 'KILL', $d->{process}->pid;
	ok($d->{process}->wait, 'its master killed');
	is($request->release->answer->{body}, 'pong', 'the request in hand is finished');
	for my $pid (@processes) {
		ok((await { is_gone($pid) }), 'the children end by themselves');
	}
	ok(-e $d->{listen}, 'the socket file is left behind');
	launch($d);
	ok((await { ping($d) }), 'and replaced by the next daemon');
	stop($d);
};

subtest 'a worker dies' => sub {
	my $d = start();
	my ($first, $second) = serving($d);
	kill 'KILL', $first;
	ok((await { my @now = serving($d); @now == 2 && !grep { $_ == $first } @now }), 'it is replaced');
	is(ping($d), 'pong');
	is(state_of($d)->{'workers died'}, 1);
	like(logged($d), qr/warning worker worker=\S+:$first:\d+ msg="killed by signal 9/);
	my @gaps;
	for (1 .. 4) {
		my $start = now();
		my ($victim) = grep { $_ != $second } serving($d);
		kill 'KILL', $victim;
		await { my @now = serving($d); @now == 2 && !grep { $_ == $victim } @now };
		push @gaps, now() - $start;
	}
	cmp_ok($gaps[3], '>', 0.3, "lives that end at once are followed by longer pauses (@gaps)");
	cmp_ok($gaps[0], '<', $gaps[3]);
	stop($d);
};

# Clients that ask without a pause until told to stop; how many answers were missing or wrong, and how many right.
sub load {
	my ($d, $clients) = @_;
	my @pipes;
	for (1 .. $clients) {
		pipe my $out, my $in;
		my $pid = fork // die;
		if (!$pid) {
			my ($stop, $good, $bad) = (0, 0, 0);
			$SIG{TERM} = sub { $stop = 1 };
			while (!$stop) {
				my $body = ping($d) // '';
				$body =~ /^pong/ ? $good++ : $bad++;
			}
			syswrite $in, "$good $bad\n";
			POSIX::_exit(0);
		}
		push @pipes, [$pid, $out];
	}
	return sub {
		my ($good, $bad) = (0, 0);
		kill 'TERM', map { $_->[0] } @pipes;
		for (@pipes) {
			my ($pid, $out) = @$_;
			my ($g, $b) = split ' ', <$out> // '0 1';
			$good += $g;
			$bad += $b;
			waitpid $pid, 0;
		}
		return ($good, $bad);
	};
}

subtest 'a reload refuses and cuts nothing' => sub {
	my $d = start();
	my @old = serving($d);
	my $request = held($d);
	my $end = load($d, 4);
	for my $round (1 .. 3) {
		settings($d, 'ping.response' => "pong$round");
		$d->{process}->signal('HUP');
		ok((await { (ping($d) // '') eq "pong$round" && state_of($d)->{reloads} == $round }), "reload $round: the new settings are in force");
	}
	my ($good, $bad) = $end->();
	is($bad, 0, 'no request was refused or cut');
	settings($d, 'ping.response' => 'pong4');
	$d->{process}->signal('USR2');
	ok((await { (ping($d) // '') eq 'pong4' && state_of($d)->{reloads} == 4 }), 'SIGUSR2 does the same, as with PHP-FPM');
	cmp_ok($good, '>', 100, "of $good");
	my @now = serving($d);
	is(scalar @now, 2);
	ok(!(grep { my $pid = $_; grep { $_ == $pid } @old } @now), 'the workers are others');
	ok((await { 1 == grep { $_->{state} eq 'draining' } @{state_of($d)->{workers}} }), 'an old one still has a request in hand');
	is($request->release->answer->{body}, 'pong', 'which is answered, by the old settings');
	ok((await { @{state_of($d)->{workers}} == 2 }), 'then it ends');
	stop($d);
};

# Workers that start wait for a key that does not come, until there is room for no more.
subtest 'reloads that come faster than workers start' => sub {
	my %many = ('pm.max_children' => 64, 'pm.threads' => 1, 'global.process_control_timeout' => '60s');
	my $d = start(%many);
	my $children = sub { return scalar(() = children_of($d->{process}->pid)) };
	POSIX::mkfifo("$dir/late", 0666);
	settings($d, %many, 'openai.api_key_file' => "$dir/late");
	for my $round (1 .. 3) {
		$d->{process}->signal('HUP');
		ok((await { $children->() == 64 + 64 * $round + 1 } 30), "$round generations wait");
	}
	settings($d, %many, 'ping.response' => 'the last');
	$d->{process}->signal('HUP');
	ok((await { logged($d) =~ /too many workers of earlier reloads still finish/ }), 'there is no room for more');
	is(ping($d), 'pong', 'the old ones serve');
	kill 'KILL', grep { my $pid = $_; !grep { $_ == $pid } serving($d) } grep { slurp("/proc/$_/comm") =~ /worker/ } children_of($d->{process}->pid);
	ok((await { (ping($d) // '') eq 'the last' } 30), 'once there is, what was asked for last is in force') or diag(logged($d));
	is(scalar(() = logged($d) =~ /too many workers/g), 1, 'and it was said once');
	stop($d);
};

subtest 'a reload that needs more descriptors' => sub {
	my $d = start();
	is(system('prlimit', '--pid', $d->{process}->pid, '--nofile=300:300'), 0, 'there are few');
	settings($d, 'pm.threads' => 100);
	$d->{process}->signal('HUP');
	ok((await { state_of($d)->{reloads} == 1 }), 'it reloads');
	my $raised = !grep { slurp("/proc/$_/limits") !~ /^Max open files +728 /m } serving($d);
	ok($raised || logged($d) =~ /a worker may open 300 files; .* it can need 728/, 'it gets six a thread and some, or says that it cannot');
	stop($d);
};

subtest 'a reload to another directory of endpoints' => sub {
	mkdir "$dir/$_" for 'before', 'after', 'site';
	spew("$dir/$_/broken.prompt", '{{#if') for 'before', 'after', 'site';
	my $d = start(endpoints => "$dir/before");
	my $broken = sub { join ' ', sort map { $_->{file} =~ s{^\Q$dir\E/|/broken\.prompt$}{}gr } @{state_of($d)->{broken}} };
	FastCGI->get($d->{listen}, uri => '/broken.prompt', method => 'POST', params => {SCRIPT_FILENAME => "$dir/site/broken.prompt"});
	is($broken->(), 'before site', 'what does not load is told');
	settings($d, endpoints => "$dir/after");
	$d->{process}->signal('HUP');
	ok((await { state_of($d)->{reloads} == 1 && @{state_of($d)->{workers}} == 2 }), 'it reloads');
	is($broken->(), 'after site', 'of the directory that is the pool\'s now, and of document roots');
	is(state_of($d)->{endpoints}, 0, 'none of them counts as serving');
	spew("$dir/before/broken.prompt", '{{#unless');
	FastCGI->get($d->{listen}, uri => '/broken.prompt', method => 'POST', params => {SCRIPT_FILENAME => "$dir/before/broken.prompt"});
	is($broken->(), 'after before site', 'a web server may hand over the old ones: then they are told again');
	unlink "$dir/before/broken.prompt";
	settings($d, endpoints => "$dir/before");
	$d->{process}->signal('HUP');
	ok((await { state_of($d)->{reloads} == 2 && @{state_of($d)->{workers}} == 2 }), 'it reloads again');
	is($broken->(), 'site', 'what went away meanwhile is not told');
	stop($d);
};

# Stays blocked, and so pending, until the master looks.
subtest 'a reload that is asked for before the first workers serve' => sub {
	my $d = prepare();
	my $asked = 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGHUP)); kill HUP => $$; exec @ARGV';
	$d->{process} = Harness::Process->start(name => "run$count", dir => $dir, cwd => $dir, command => [$^X, '-MPOSIX', '-e', $asked, $program, '-c', $d->{config}, $root ? '-R' : ()]);
	ok((await { state_of($d)->{reloads} }), 'it is done');
	like(logged($d), qr/start msg="2 workers .* reload msg="2 workers/s, 'once they do');
	is(ping($d), 'pong', 'and it serves');
	stop($d);
};

subtest 'reloads that fail' => sub {
	my $d = start();
	my @old = serving($d);
	POSIX::mkfifo("$dir/pipe", 0666);
	settings($d, 'global.error_log' => "$dir/pipe");
	$d->{process}->signal('HUP');
	ok((await { logged($d) =~ /error reload msg="error_log: \S+pipe: No such device or address; the old settings go on"/ }), 'a pipe that nobody reads is not waited for');
	settings($d, slowlog => "$dir/pipe", 'global.error_log' => "$d->{base}.other");
	$d->{process}->signal('HUP');
	ok((await { logged($d) =~ /error reload msg="slowlog: \S+pipe: No such device or address; the old settings go on"/ }), 'nor one that slow requests would go to');
	settings($d, 'pm.threads' => 'many');
	$d->{process}->signal('HUP');
	ok((await { logged($d) =~ /error reload msg="\S+\.conf:\d+: pm\.threads: .*the old settings go on"/ }), 'bad settings are told with file and line');
	settings($d, endpoints => "$dir/nowhere", 'global.error_log' => "$d->{base}.other");
	$d->{process}->signal('HUP');
	ok((await { logged($d) =~ /error reload msg="\S+\.conf:\d+: endpoints: \S+: No such file.*the old settings go on"/ }), 'so is what is not there');
	settings($d, 'openai.api_key_file' => '/dev/null', 'global.error_log' => "$d->{base}.other");
	$d->{process}->signal('HUP');
	ok((await { slurp("$d->{base}.other") =~ /the new workers cannot start; the old settings go on/ }), 'workers that cannot start are given up');
	is_deeply([serving($d)], \@old, 'the old workers go on');
	settings($d, listen => "$dir/elsewhere.sock", 'global.daemonize' => 'yes');
	$d->{process}->signal('HUP');
	ok((await { state_of($d)->{reloads} == 1 }), 'a new address is no reason not to reload');
	like(logged($d), qr/listen stays at \Q$d->{listen}\E/, 'but it is said that the old one stays');
	ok(!-e "$dir/elsewhere.sock");
	like(logged($d), qr/reload msg="2 workers/, 'and the log is again where the settings in force have it');
	$d->{process}->signal('HUP') for 1 .. 3;
	$d->{process}->signal('TERM');
	ok($d->{process}->wait(20), 'SIGHUP after SIGHUP and then SIGTERM: it ends');
	is($d->{process}->status, 0);
};

subtest 'a stop waits for what is in hand' => sub {
	my $d = start();
	my $request = held($d);
	my @processes = children_of($d->{process}->pid);
	$d->{process}->signal('TERM');
	ok((await { !-e $d->{listen} }), 'the address is given up at once');
	ok(!FastCGI->start($d->{listen}, uri => '/ping'), 'nobody else gets in');
	sleep 0.2;
	ok($d->{process}->alive, 'it waits');
	is($request->release->answer->{body}, 'pong', 'the request is answered');
	ok($d->{process}->wait, 'then it ends');
	is($d->{process}->status, 0);
	ok(is_gone($_)) for @processes;

	$d = start('global.process_control_timeout' => '300ms');
	$request = held($d);
	my $start = now();
	$d->{process}->signal('INT');
	ok($d->{process}->wait, 'but not for ever');
	cmp_ok(now() - $start, '<', patience(2.5));
	is($d->{process}->status, 0);
	like(logged($d), qr/1 requests were still in hand after process_control_timeout/);
	ok(!$request->release->finish, 'what took too long is cut');
	like(logged($d), qr/stop msg=done/);
};

subtest 'the log file is reopened' => sub {
	my $d = start();
	rename "$d->{base}.log", "$d->{base}.log.1";
	$d->{process}->signal('USR1');
	ok((await { -e "$d->{base}.log" }), 'there is a new one');
	my $before = slurp("$d->{base}.log.1");
	get($d, '/no/such/endpoint', seconds => 1) for 1 .. 8;
	stop($d);
	like(logged($d), qr/stop msg=done/, 'the master writes to it');
	is(slurp("$d->{base}.log.1"), $before, 'nobody writes to the old one');
	mkdir "$dir/logs";
	$d = start('global.error_log' => "$dir/logs/log");
	rename "$dir/logs", "$dir/moved";
	$d->{process}->signal('USR1');
	ok((await { slurp("$dir/moved/log") =~ /cannot be opened again: No such file/ }), 'where it cannot be opened the old one is kept');
	stop($d);
};

subtest 'in the background' => sub {
	my $d = prepare('global.daemonize' => 'yes');
	my ($status) = outcome($d);
	is($status, 0, 'what was started ends when the workers serve');
	is(ping($d), 'pong', 'and they do');
	chomp(my $pid = slurp("$d->{base}.pid"));
	isnt($pid, $d->{process}->pid);
	ok(kill('TERM', $pid), 'the daemon is in the pid file');
	ok((await { is_gone($pid) }), 'and ends');
	ok(!-e $d->{listen});
	$d = prepare('global.daemonize' => 'yes', 'openai.api_key_file' => '/dev/null');
	($status, my $text) = outcome($d);
	is($status, 1, 'a start that fails is told by the status');
	like($text, qr/^prompt-fpm: the workers cannot start: the log tells why$/, 'and in words');
	like(logged($d), qr/cannot start/);
	ok((await { !-e "$d->{base}.pid" && !-e $d->{listen} }), 'nothing is left of it');
	$d = prepare('global.daemonize' => 'yes', 'global.error_log' => undef);
	is((outcome($d))[0], 0, 'without a log file it goes as well');
	chomp($pid = slurp("$d->{base}.pid"));
	# Nobody but root may look at a process that keeps its memory to itself.
	like(readlink "/proc/$pid/fd/$_", qr{^/dev/null$}, "and keeps nothing of the terminal: $_") for $root ? 0 .. 2 : ();
	kill 'TERM', $pid;
	ok((await { is_gone($pid) }));
	$d = prepare('global.daemonize' => 'yes');
	is(system('sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', $program, '-c', $d->{config}, $root ? '-R' : ()), 0, 'started without standard input and output');
	is(ping($d), 'pong', 'it serves');
	chomp($pid = slurp("$d->{base}.pid"));
	unlike(readlink "/proc/$pid/fd/$_", qr/socket|signalfd|pipe/, "and has nothing of its own in their place: $_") for $root ? 0 .. 2 : ();
	kill 'TERM', $pid;
	ok((await { is_gone($pid) }), 'and it hears of signals') or kill 'KILL', $pid;
	$d = prepare('global.daemonize' => 'yes', 'global.pid' => '/proc/none.pid');
	($status, $text) = outcome($d);
	is($status, 1);
	like($text, qr/^prompt-fpm: pid: .*No such file/, 'what fails in the background is told in the foreground');
	POSIX::mkfifo("$dir/key", 0666);
	$d = prepare('global.daemonize' => 'yes', 'openai.api_key_file' => "$dir/key");
	launch($d);
	ok((await { ($pid) = slurp("$d->{base}.pid") =~ /^(\d+)$/m }), 'a start that hangs');
	$d->{process}->signal('INT');
	ok($d->{process}->wait, 'need not be waited for') or $d->{process}->kill_all;
	ok((await { sysopen(my $key, "$dir/key", O_WRONLY | O_NONBLOCK); is_gone($pid) } 30), 'the daemon goes on, and ends when it has no key');
	$d = prepare('global.daemonize' => 'yes');
	launch($d, '-F');
	ok((await { ping($d) }), '-F: it stays in the foreground');
	ok($d->{process}->alive);
	stop($d);
};

subtest 'a socket on descriptor 0' => sub {
	plan skip_all => 'spawn-fcgi is not installed' unless grep { -x "$_/spawn-fcgi" } split(/:/, $ENV{PATH}), '/usr/bin';
	my $d = prepare(listen => undef, 'global.daemonize' => 'yes');
	is(system('spawn-fcgi', '-s', $d->{listen}, '-P', "$d->{base}.spawned", '--', $program, '-c', $d->{config}, $root ? '-R' : ()) >> 8, 0);
	ok((await { logged($d) =~ / start msg="2 workers/ }), 'spawn-fcgi starts it');
	is(ping($d), 'pong');
	chomp(my $pid = slurp("$d->{base}.pid"));
	is(slurp("$d->{base}.spawned") + 0, $pid, 'the process it started is the master');
	my @children = children_of($pid);
	settings($d, listen => "$dir/elsewhere.sock", 'ping.response' => 'again');
	kill 'HUP', $pid;
	ok((await { (ping($d) // '') eq 'again' }), 'it reloads');
	ok((await { state_of($d)->{reloads} == 1 }));
	@children = children_of($pid);
	kill 'TERM', $pid;
	ok((await { is_gone($pid) }), 'it ends');
	ok(is_gone($_), 'with its children') for @children;
	ok(-e $d->{listen}, 'the socket file is not its own to remove');
};

done_testing();
