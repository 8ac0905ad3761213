# All of a daemon dies at the same moment, its janitor too: nobody is left to say which rows are open. The next start ends them by name, at once, and no others.
use strict;
use warnings;

use IO::Socket::UNIX;
use JSON::PP;
use POSIX ();
use Test::More;
use Harness;
use Harness::Process qw(await);
use Wedding qw(email directive hold);

my %settings = ('pm.max_children' => 2, 'pm.threads' => 8);
my $h = Harness->new(web => 'lighttpd', settings => \%settings);
my $s = $h->supplier('enterprise');

sub state_of { return $h->value('select state from ai_usage_tracking where id = ?', $_[0]{id}) }

sub is_gone { return (eval { Harness::Web::slurp("/proc/$_[0]/stat") } // ') Z') =~ /\) Z/ }

my @dead; # kept: with the last word of one goes all that is left of its process group

# The master and all of its children, but for those named, at the same moment.
sub kill_together {
	my ($of, %spared) = @_;
	my @pids = grep { !$spared{$_} } $of->master, $of->children;
	push @dead, $of->daemon;
	kill 'KILL', @pids;
	$of->daemon->wait(5);
	ok await(sub { !grep { !is_gone($_) } @pids }, 5), 'they are gone';
}

my @roster = glob "$h->{dir}/run/prompt-fpm.pid.workers/*";
is scalar @roster, 2, 'each worker that serves is on the roster';
is_deeply [sort map { m{([^/]+)$} } @roster], [sort map { $_->{name} } @{$h->request('GET', '/api/ai/status?json')->json->{workers}}], 'by its name in the ledger';

subtest 'everything is killed' => sub {
	my $wanted = email(directive('pieces=4 gate=2 prompt=10 tokens=20'), stream => JSON::PP::true);
	my ($stream, $row) = hold($h, $s->{key}, $wanted);
	kill_together($h);
	is state_of($row), 'reserved', 'nobody ends the row';
	ok $h->value('select ?::timestamptz > now() + interval \'1 minute\'', $row->{expires_at}), 'whose time is long not over';
	$h->start_daemon;
	$h->await_ping;
	ok await(sub { state_of($row) eq 'expired' }, 10), 'the next start does' or diag $h->log_text;
	ok $h->await_log(qr/ sweep worker=\Q$row->{worker}\E expired=1 /), 'by the name of the dead';
	$h->standin->release;
	is $h->post($Wedding::EMAIL, {%$wanted, stream => JSON::PP::false}, key => $s->{key})->status, 200, 'who asks for the same waits for nobody';
	ok await(sub { 2 == (() = glob "$h->{dir}/run/prompt-fpm.pid.workers/*") }, 5), 'and only those who live are on the roster';
};

subtest 'its master and its janitor are killed, a worker lives' => sub {
	my ($stream, $row) = hold($h, $s->{key});
	my ($mine) = $row->{worker} =~ /:(\d+):/;
	kill_together($h, $mine => 1);
	ok await(sub { !IO::Socket::UNIX->new(Peer => $h->socket) }, 10), 'it finishes what it has in hand';
	$h->start_daemon;
	$h->await_ping;
	my ($other, $theirs) = hold($h, $s->{key});
	kill 'KILL', $h->workers;
	ok await(sub { state_of($theirs) eq 'expired' }, 10), 'the new janitor has been at work';
	is state_of($row), 'reserved', 'and has left it alone';
	$h->standin->release;
	$stream->slurp;
	like $stream->body, qr/event: done/, 'its stream ends well';
	is state_of($row), 'settled', 'and is settled';
};

subtest 'it is killed while it finishes' => sub {
	my ($stream, $row) = hold($h, $s->{key});
	my ($mine) = $row->{worker} =~ /:(\d+):/;
	$h->{settings}{'janitor.interval'} = '100ms';
	kill_together($h, $mine => 1);
	ok await(sub { !IO::Socket::UNIX->new(Peer => $h->socket) }, 10), 'one is left, and finishes';
	$h->start_daemon;
	$h->await_ping;
	kill 'KILL', $mine;
	ok await(sub { state_of($row) eq 'expired' }, 10), 'the next janitor, at work for long, ends its row too' or diag $h->log_text;
};

subtest 'another daemon on the same machine' => sub {
	my $other = Harness->new(web => 'lighttpd', beside => $h, settings => {%settings});
	my ($stream, $row) = hold($other, $s->{key});
	my ($lost, $mine) = hold($h, $s->{key});
	kill_together($h);
	$h->start_daemon;
	ok await(sub { state_of($mine) eq 'expired' }, 10), 'its own are ended';
	is state_of($row), 'reserved', "the other's are not";
	$h->standin->release;
	$stream->slurp;
	is state_of($row), 'settled';
};

subtest 'what is no word of ours' => sub {
	my ($stream, $row) = hold($h, $s->{key});
	kill_together($h);
	my ($file) = glob "$h->{dir}/run/prompt-fpm.pid.workers/*:*";
	my $dir = $file =~ s{/[^/]+$}{}r;
	Harness::Web::spew($_, "00000000-0000-0000-0000-000000000000 another\n") for glob "$dir/*";
	Harness::Web::spew("$dir/empty", '');
	POSIX::mkfifo("$dir/fifo", 0666);
	symlink '/etc/passwd', "$dir/link";
	mkdir "$dir/folder";
	$h->start_daemon;
	$h->await_ping;
	ok await(sub { !-e $file }, 10), 'a file of another life of the machine is put away';
	is state_of($row), 'reserved', 'and not believed';
	ok -d "$dir/folder" && -e '/etc/passwd', 'what is no file of ours stays';
	$h->dbh->do('select * from fpm.sweep(?)', undef, $row->{worker});
	unlink "$dir/fifo", "$dir/link";
	rmdir "$dir/folder";
};

is $h->stop_daemon, 0, 'it ends in order';
ok !-e "$h->{dir}/run/prompt-fpm.pid.workers", 'and leaves no roster';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
