# What workers leave that end with something in hand: a settlement is still written, a row that is open is ended at once; whoever hangs keeps nobody from
# stopping; and the janitor gives up no row because it could not sweep it the first time.
use strict;
use warnings;

use Test::More;
use Harness;
use Harness::Process qw(await);
use Wedding qw(hold);

# Sweeps by the clock are left to the first one, so that what ends a row is the word of a worker's death.
my %settings = ('pm.max_children' => 2, 'pm.threads' => 8, 'janitor.interval' => '1h', 'database.statement_timeout' => '500ms', 'database.retry' => '100ms');
my $h = Harness->new(web => 'lighttpd', settings => {%settings}, global => {process_control_timeout => '200ms'});
my $s = $h->supplier('enterprise');

my @kept; # streams that nobody reads on

sub state_of { return $h->value('select state from ai_usage_tracking where id = ?', $_[0]{id}) }
sub pid_of { return $_[0]{worker} =~ /:(\d+):/ ? $1 : undef }
sub janitor { return ($_[0]->children(qr/janitor/))[0] }
sub is_stopped { return (eval { Harness::Web::slurp("/proc/$_[0]/stat") } // '') =~ /\) T / }
sub lives { return -d "/proc/$_[0]" && Harness::Web::slurp("/proc/$_[0]/stat") !~ /\) Z / }
sub refusals { return scalar(() = $h->log_text =~ / 25006 /g) }

# The database takes nothing from the daemon until told otherwise.
sub refuse_all {
	my ($refuses) = @_;
	$h->dbh->do('alter role www ' . ($refuses ? 'set default_transaction_read_only = on' : 'reset default_transaction_read_only'));
	$h->dbh->do(q{select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'www'});
}

# Rows enough for two portions of a sweep.
subtest 'a worker that has something in hand after its time' => sub {
	my ($stream, $row) = hold($h, $s->{key});
	$h->value("select count(fpm.admit(encode(sha256(?), 'hex'), 'r', 'email_template', 'e', 'openai', 'gpt-4o-mini',"
		. " 0, 0, 0, 10, 10, 10, null, 'off', 0, 60000, 60000, ?, false)) from generate_series(1, 1000)", $s->{key}, $row->{worker});
	my $open = sub { return $h->value("select count(*) from ai_usage_tracking where state = 'reserved' and worker = ?", $row->{worker}) };
	is $open->(), 1001, 'and as many beside it';
	$h->daemon->signal('HUP');
	ok await(sub { $open->() == 0 }, 20), 'they are ended at once' or diag $open->(), $h->log_text;
	is state_of($row), 'expired', 'without waiting for their time';
	ok $h->await_log(qr/1 requests were still in hand after process_control_timeout/), 'the worker says why';
	ok $h->await_log(qr/ sweep worker=\Q$row->{worker}\E expired=1000 /), 'by the name of the worker';
	ok await(sub { 2 == (() = glob "$h->{dir}/run/prompt-fpm.pid.workers/*") }, 10), 'which is off the roster then';
	$h->standin->release;
};

subtest 'a worker that cannot book what it did' => sub {
	my ($stream, $row) = hold($h, $s->{key});
	refuse_all(1);
	$h->standin->release;
	$stream->slurp;
	like $stream->body, qr/event: done/, 'the caller has all';
	ok await(sub { refusals() }, 10), 'it is tried';
	$h->daemon->signal('HUP');
	ok await(sub { $h->log_text =~ /worker=\Q$row->{worker}\E msg="ended with status 71"/ }, 15), 'it ends unfinished';
	my $told = refusals();
	ok await(sub { refusals() > $told + 2 }, 10), 'and its row cannot be swept either';
	is state_of($row), 'reserved', 'so it is open';
	refuse_all(0);
	ok await(sub { state_of($row) eq 'expired' }, 10), 'until it can';
};

subtest 'a worker that has still to book what it did' => sub {
	$h->{global}{process_control_timeout} = '60s';
	$h->write_settings;
	my @old = $h->workers;
	$h->daemon->signal('HUP');
	ok await(sub { !grep { lives($_) } @old }, 10), 'with time enough';
	my ($stream, $row) = hold($h, $s->{key});
	refuse_all(1);
	$h->standin->release;
	$stream->slurp;
	$h->daemon->signal('HUP');
	ok await(sub { my ($mine) = grep { $_->{pid} == pid_of($row) } @{$h->request('GET', '/api/ai/status?json')->json->{workers}}; ($mine->{state} // '') eq 'draining' }, 10),
		'it is told to end' or diag explain $h->request('GET', '/api/ai/status?json')->json;
	my $told = refusals();
	ok await(sub { refusals() > $told + 20 }, 20), 'the booking is tried again and again, for longer than the second that there is in any case';
	ok lives(pid_of($row)), 'by the worker, which stays for it';
	refuse_all(0);
	ok await(sub { state_of($row) eq 'settled' }, 10), 'until it is done';
	ok await(sub { !lives(pid_of($row)) }, 10), 'then the worker ends';
	is $h->value('select completion_tokens from ai_usage_tracking where id = ?', $row->{id}), 20, 'it is charged what was used';
};

# Streams until both workers have one: the names of the two, and a row of each.
sub hold_both {
	my %row;
	for (1 .. 40) {
		last if keys %row == 2;
		my ($stream, $row) = hold($h, $s->{key});
		$row{$row->{worker}} = $row;
		push @kept, $stream;
	}
	is scalar keys %row, 2, 'both workers have streams';
	my @names = sort keys %row;
	return (@names, @row{@names});
}

# Both die while the janitor sleeps, in this order; then it wakes up.
sub kill_asleep {
	my (@workers) = @_;
	my $janitor = janitor($h);
	kill 'STOP', $janitor;
	ok await(sub { is_stopped($janitor) }, 10), 'the janitor sleeps';
	for my $worker (@workers) {
		my ($pid) = $worker =~ /:(\d+):/;
		kill 'KILL', $pid;
		ok await(sub { $h->log_text =~ /worker=\Q$worker\E msg="killed by signal 9/ }, 10), 'a worker dies';
	}
	kill 'CONT', $janitor;
}

sub open_rows { return $h->value("select count(*) from ai_usage_tracking where state = 'reserved' and worker = ?", @_) }
sub roster { return "$h->{dir}/run/prompt-fpm.pid.workers/$_[0]" }

subtest 'of two that died one cannot be swept' => sub {
	my ($first, $second) = hold_both();
	my $quoted = $h->dbh->quote($second);
	$h->dbh->do(q{create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now' using errcode = '25006'; end $$});
	$h->dbh->do("create trigger refuse before update on fpm.ai_usage_open for each row when (old.worker = $quoted) execute function refuse()");
	my $told = refusals();
	kill_asleep($first, $second);
	ok await(sub { open_rows($first) == 0 }, 10), 'the rows of the first are ended';
	ok await(sub { refusals() > $told + 1 }, 10), 'those of the second are tried again';
	cmp_ok open_rows($second), '>', 0, 'and stay open';
	$h->dbh->do('drop trigger refuse on fpm.ai_usage_open');
	ok await(sub { open_rows($second) == 0 }, 10), 'until they can be ended' or diag $h->log_text;
	ok await(sub { 2 == (() = glob roster('*')) }, 10), 'and both are off the roster';
	$h->standin->release;
};

# As a report that locks what it reads does, or the settlement of another call of the same supplier.
subtest 'of two that died one left a row that somebody holds' => sub {
	my ($first, $second, undef, $row) = hold_both();
	my $holder = $h->cluster->dbh;
	$holder->begin_work;
	$holder->do('select from fpm.ai_usage_open where id = ? for update', undef, $row->{id});
	rename "$h->{dir}/run/prompt-fpm.log", "$h->{dir}/run/rotated";
	$h->daemon->signal('USR1');
	ok await(sub { -e "$h->{dir}/run/prompt-fpm.log" }, 10), 'the log is rotated';
	kill_asleep($first, $second);
	ok await(sub { open_rows($first) == 0 && open_rows($second) == 1 }, 10), 'all others are ended';
	ok await(sub { Harness::Web::slurp("$h->{dir}/run/prompt-fpm.log") =~ / sweep worker=\Q$first\E expired=/ }, 5), 'which the janitor tells in the new log';
	my ($stream, $third) = hold($h, $s->{key});
	kill 'KILL', pid_of($third);
	ok await(sub { state_of($third) eq 'expired' }, 10), 'the one held keeps back nobody who dies later';
	is state_of($row), 'reserved', 'it is open';
	ok -e roster($second), 'and its worker on the roster';
	$holder->rollback;
	$holder->disconnect;
	ok await(sub { state_of($row) eq 'expired' }, 10), 'until nobody holds it' or diag $h->log_text;
	ok await(sub { !-e roster($second) }, 10), 'then its worker is off the roster';
	$h->standin->release;
};

# A daemon whose worker hangs and one whose janitor does, at the same time, since each waits three seconds. A worker of an earlier reload has more time than that.
subtest 'who hangs is killed' => sub {
	my $other = Harness->new(web => undef, beside => $h, settings => {%settings});
	my ($kept, $booked) = hold($h, $s->{key});
	$h->{global}{process_control_timeout} = '100ms';
	$h->write_settings;
	my %old = map { $_ => 1 } $h->workers;
	$h->daemon->signal('HUP');
	ok await(sub { 2 == grep { $_->{state} eq 'serving' && !$old{$_->{pid}} } @{$h->request('GET', '/api/ai/status?json')->json->{workers}} }, 10), 'with little time';
	my ($stream, $row);
	for (1 .. 10) { # an old worker may take one more before it hears that it is to end
		($stream, $row) = hold($h, $s->{key});
		last if !$old{pid_of($row)};
	}
	my ($worker, $janitor) = (pid_of($row), janitor($other));
	kill 'STOP', $worker, $janitor;
	ok await(sub { is_stopped($worker) && is_stopped($janitor) }, 10), 'they hang';
	$_->daemon->signal('TERM') for $h, $other;
	ok await(sub { $h->log_text =~ /\Q$row->{worker}\E did not finish in time and is killed/ }, 10), 'the worker is killed';
	$h->standin->release;
	$kept->slurp;
	like $kept->body, qr/event: done/, 'one that has the time finishes what it had in hand';
	ok $_->daemon->wait(20), 'the daemon stops' for $h, $other;
	is $_->daemon->status, 0, 'in order' for $h, $other;
	is scalar(() = $h->log_text =~ / did not finish in time /g), 1, 'nobody else was killed';
	ok !lives($_), 'it is gone' for $worker, $janitor;
	is state_of($booked), 'settled', 'what was finished is settled';
	is state_of($row), 'expired', 'the row of the killed one is ended: the janitor went last';
};

is +($h->ctl('audit'))[0], 0, 'promptctl audit finds ledger and counters equal';

done_testing;
