# Signals from others than the master, and those that a parent would have had ignored: nothing in hand is cut, nobody is counted as dead who ended because he was
# told to, and neither a log that nobody reads nor what the daemon was started under keeps it from hearing.
use strict;
use warnings;

use Fcntl qw(O_NONBLOCK O_RDONLY);
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;
use FastCGI;
use Harness;
use Harness::Process qw(await);

my $h = Harness->new(start => 0, web => undef, standin => 0, settings => {'pm.max_children' => 1, 'pm.threads' => 4});
$h->start_database;

sub get { my ($uri) = @_; return FastCGI->get($h->socket, uri => $uri, seconds => 5) // {body => ''} }
sub page { my $r = get('/api/ai/status?json'); return $r->{body} =~ /^\{/ ? decode_json($r->{body}) : {workers => []} }
sub is_gone { return !-d "/proc/$_[0]" || (eval { Harness::Web::slurp("/proc/$_[0]/stat") } // ') Z') =~ /\) Z / }

# The one worker, once it is another than before.
sub next_worker {
	my ($before) = @_;
	my @now;
	ok await(sub { @now = map { $_->{pid} } grep { $_->{state} eq 'serving' } @{page()->{workers}}; @now == 1 && $now[0] != ($before // 0) }, 10), 'a worker serves';
	return $now[0];
}

# A request that is in the worker's hand until it is released, beside those that ask for the page.
sub held {
	my $request = FastCGI->start($h->socket, uri => '/api/ai/ping', method => 'POST', body => 'x', hold => 1);
	ok await(sub { (page()->{active} // 0) == 2 }, 10), 'a request is in hand';
	return $request;
}

sub stops_by {
	my ($signal) = @_;
	my @processes = $h->children;
	$h->daemon->signal($signal);
	ok $h->daemon->wait(15), "SIG$signal ends it";
	is $h->daemon->status, 0, 'in order';
	ok is_gone($_), 'with its children' for @processes;
}

$h->start_daemon;
my $worker = next_worker();

for my $signal (qw(INT QUIT TERM)) {
	subtest "a worker gets SIG$signal from somebody else" => sub {
		my $request = held();
		kill $signal, $worker;
		is $request->release->answer->{body}, 'pong', 'the request is answered';
		ok await(sub { is_gone($worker) }, 10), 'then it ends';
		ok $h->await_log(qr/worker=\S+:$worker:\d+ msg="ended with status 0"/), 'in order';
		$worker = next_worker($worker);
	};
}

subtest 'a reload' => sub {
	my $deaths = page()->{'workers died'};
	is $deaths, 3, 'those that nobody had told to end are counted';
	my ($janitor) = $h->children(qr/janitor/);
	$h->daemon->signal('HUP');
	my $before = $worker;
	$worker = next_worker($before);
	ok await(sub { is_gone($before) && @{page()->{workers}} == 1 }, 10), 'the old worker ends';
	is page()->{'workers died'}, $deaths, 'whoever was told to is not';
	ok await(sub { my ($now) = $h->children(qr/janitor/); is_gone($janitor) && ($now // $janitor) != $janitor }, 10), 'the janitor too is another, with the new settings';
};

# Nothing else happens meanwhile that the master would wake up for.
subtest 'the janitor is killed again and again' => sub {
	for my $time (1 .. 4) {
		my ($janitor) = $h->children(qr/janitor/);
		kill 'KILL', $janitor;
		ok await(sub { my ($now) = grep { !is_gone($_) } $h->children(qr/janitor/); ($now // $janitor) != $janitor }, 10), "there is another one: $time";
	}
};

# A reload to workers that wait for their key until it is given to them.
POSIX::mkfifo("$h->{dir}/run/key", 0666);
sub reload_late {
	my ($children) = @_;
	$h->{settings}{'pm.max_children'} = $children;
	$h->{settings}{'openai.api_key_file'} = "$h->{dir}/run/key";
	$h->write_settings;
	$h->daemon->signal('HUP');
	my @new;
	ok await(sub { @new = grep { $_ != $worker } $h->workers; @new == $children }, 10), 'new workers are to come';
	$h->{settings}{'pm.max_children'} = 1;
	delete $h->{settings}{'openai.api_key_file'};
	$h->write_settings;
	return @new;
}
sub give_key { return Harness::Web::spew("$h->{dir}/run/key", "sk-late\n") }

subtest 'a reload that one of the new workers does not live to see' => sub {
	my @new = reload_late(2);
	kill 'KILL', $new[0];
	ok await(sub { $h->log_text =~ /the new workers cannot start; the old settings go on/ }, 10), 'they are given up';
	give_key();
	ok await(sub { is_gone($new[1]) }, 10), 'the other one ends too, now that it could serve';
	ok await(sub { "@{[$h->workers]}" eq $worker }, 10), 'the old one goes on, alone';
};

subtest 'a reload that another one overtakes' => sub {
	my ($late) = reload_late(1);
	$h->daemon->signal('HUP');
	$worker = next_worker($worker);
	isnt $worker, $late, 'the workers of the second one serve';
	give_key();
	ok await(sub { is_gone($late) }, 10), 'those of the first end, now that they could';
	ok await(sub { "@{[$h->workers]}" eq $worker }, 10), 'nobody else is there';
};

subtest 'a stop before a reload is done' => sub {
	my ($late) = reload_late(1);
	$h->daemon->signal('QUIT');
	ok await(sub { !-e $h->socket }, 10), 'it stops';
	give_key();
	ok $h->daemon->wait(15), 'all end';
	is $h->daemon->status, 0, 'in order';
	ok is_gone($_), 'with the new workers' for $late;
};

subtest 'a reload that is asked for while it stops' => sub {
	$h->start_daemon;
	next_worker();
	my $request = held();
	$h->daemon->signal('TERM');
	ok await(sub { !-e $h->socket }, 10), 'it stops';
	$h->daemon->signal('HUP');
	is $request->release->answer->{body}, 'pong', 'the request in hand is answered';
	ok $h->daemon->wait(15), 'then it ends';
	is $h->daemon->status, 0, 'in order';
};

subtest 'the master is killed' => sub {
	$h->start_daemon;
	$worker = next_worker();
	my $request = held();
	my ($janitor) = $h->children(qr/janitor/);
	kill 'KILL', $h->master;
	ok await(sub { is_gone($janitor) }, 10), 'its janitor waits for nobody';
	ok !is_gone($worker), 'its worker for the request in hand';
	is $request->release->answer->{body}, 'pong', 'which is answered';
	ok await(sub { is_gone($worker) }, 10), 'then it ends';
	$h->daemon->wait;
};

subtest 'a start that fails once it listens' => sub {
	$h->{global} = {pid => '/proc/none'};
	unlink $h->socket;
	$h->{daemon} = Harness::Process->start(name => 'failing', dir => $h->{dir}, command => [$h->daemon_command], env => $h->daemon_environment);
	ok $h->daemon->wait(15), 'it ends';
	is $h->daemon->status >> 8, 1, 'and says so';
	like $h->daemon->output, qr/pid: .*No such file/, 'and why';
	ok !-e $h->socket, 'its socket is gone';
	$h->{global} = {};
};

# Connections that nobody will take are refused: they must not wait for a daemon that goes.
subtest 'a stop where it listens on a port' => sub {
	my $port = do { my $free = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die; $free->sockport };
	my $before = $h->{settings};
	$h->{settings} = {%{$h->{settings}}, listen => "127.0.0.1:$port"};
	$h->{daemon} = Harness::Process->start(name => 'port', dir => $h->{dir}, command => [$h->daemon_command], env => $h->daemon_environment);
	my $request;
	ok await(sub { $request = FastCGI->start("127.0.0.1:$port", uri => '/api/ai/ping', method => 'POST', body => 'x', hold => 1) }, 10), 'it listens';
	ok await(sub { (FastCGI->get("127.0.0.1:$port", uri => '/api/ai/status?json', seconds => 5) // {body => ''})->{body} =~ /"active": 2/ }, 10), 'a request is in hand';
	$h->daemon->signal('TERM');
	ok await(sub { !FastCGI::connect_to("127.0.0.1:$port") }, 10), 'nobody else is let in';
	ok $h->daemon->alive, 'while it has that';
	is $request->release->answer->{body}, 'pong', 'which is answered';
	ok $h->daemon->wait(15), 'then it ends';
	is $h->daemon->status, 0, 'in order';
	$h->{settings} = $before;
};

subtest 'a log that nobody reads' => sub {
	my $fifo = "$h->{dir}/run/fifo";
	POSIX::mkfifo($fifo, 0666);
	sysopen my $reader, $fifo, O_RDONLY | O_NONBLOCK or die "$fifo: $!";
	$h->{global} = {error_log => $fifo};
	$h->start_daemon;
	my $worker = next_worker();
	close $reader;
	$h->daemon->signal('USR1'); # and it cannot be opened again: there is something to say
	kill 'KILL', $worker;
	next_worker($worker);
	ok $h->daemon->alive, 'the daemon goes on';
	stops_by('TERM');
};

subtest 'started with its signals ignored' => sub {
	$h->{global} = {};
	unlink $h->socket;
	my @command = ($^X, '-e', '$SIG{$_} = "IGNORE" for qw(TERM INT QUIT HUP USR1 CHLD); exec @ARGV', $h->daemon_command);
	$h->{daemon} = Harness::Process->start(name => 'ignoring', dir => $h->{dir}, command => \@command, env => $h->daemon_environment);
	my $worker = next_worker();
	$h->daemon->signal('HUP');
	$worker = next_worker($worker);
	kill 'KILL', $worker;
	next_worker($worker);
	stops_by('TERM');
};

done_testing;
