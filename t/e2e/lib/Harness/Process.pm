# Processes that a test starts: each in a group of its own, its output in a file, ended with the test whatever becomes of the test.
#
#   my $p = Harness::Process->start(name => 'standin', command => [...], dir => $dir, env => {...});
#   $p->alive; $p->signal('HUP'); $p->wait(5); $p->stop; $p->output; $p->pid;
package Harness::Process;

use strict;
use warnings;

use Exporter qw(import);
use POSIX qw(:sys_wait_h setpgid);
use Scalar::Util qw(weaken);
use Time::HiRes qw(sleep clock_gettime CLOCK_MONOTONIC);

our @EXPORT_OK = qw(await patience now);
my @running;

# Waits are bounded; builds with sanitizers and busy machines get more by PROMPT_FPM_PATIENCE.
sub patience { return $_[0] * ($ENV{PROMPT_FPM_PATIENCE} // 1) }

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# Calls the condition until it is true and returns what it returned; something false when the seconds are over.
sub await(&;$) {
	my ($condition, $seconds) = @_;
	my $until = now() + patience($seconds // 10);
	while (1) {
		my $result = $condition->();
		return $result if $result || now() > $until;
		sleep 0.01;
	}
}

# name, command (list), dir (of the output file); env (hash, undef takes a variable away), stdin (handle), cwd.
sub start {
	my ($class, %with) = @_;
	my $self = bless {name => $with{name}, file => "$with{dir}/$with{name}.out", owner => $$}, $class;
	my @command = @{$with{command}};
	# Should the test be killed outright, its children learn of it.
	unshift @command, qw(setpriv --pdeathsig TERM) if grep { -x "$_/setpriv" } split /:/, $ENV{PATH};
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		setpgid(0, 0);
		$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE CHLD);
		defined $with{env}{$_} ? ($ENV{$_} = $with{env}{$_}) : delete $ENV{$_} for keys %{$with{env} // {}};
		chdir($with{cwd} // '/');
		if ($with{stdin}) { open STDIN, '<&', $with{stdin} }
		else              { open STDIN, '<', '/dev/null' }
		open STDOUT, '>>', $self->{file} or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT;
		{ no warnings 'exec'; exec {$command[0]} @command }
		print STDERR "cannot execute $command[0]: $!\n";
		POSIX::_exit(127);
	}
	setpgid($pid, $pid);
	$self->{pid} = $pid;
	push @running, $self;
	weaken $running[-1];
	return $self;
}

sub pid    { $_[0]{pid} }
sub status { $_[0]{status} }

sub reap {
	my ($self, $flags) = @_;
	return 1 if defined $self->{status};
	my $got = waitpid $self->{pid}, $flags;
	$self->{status} = $got == $self->{pid} ? $? : -1 if $got != 0;
	return defined $self->{status};
}

sub alive { return !$_[0]->reap(WNOHANG) }

sub signal {
	my ($self, $signal) = @_;
	return $self->alive && kill $signal, $self->{pid};
}

# True once it has ended; its wait status is ->status then.
sub wait {
	my ($self, $seconds) = @_;
	return await { $self->reap(WNOHANG) } $seconds // 10;
}

# Ends it: politely, and by force after `seconds`, together with whatever it left behind in its group. Returns its wait status.
sub stop {
	my ($self, $seconds) = @_;
	return $self->{status} if $self->{stopped};
	$self->{stopped} = 1;
	kill 'TERM', $self->{pid} if $self->alive;
	if (!$self->wait($seconds // 8)) {
		kill 'KILL', $self->{pid};
		$self->reap(0);
	}
	kill 'KILL', -$self->{pid};
	return $self->{status};
}

# Ends it at once, and all of its group.
sub kill_all {
	my ($self) = @_;
	$self->{stopped} = 1;
	kill 'KILL', -$self->{pid};
	$self->reap(0);
}

sub output {
	my ($self) = @_;
	open my $in, '<', $self->{file} or return '';
	local $/;
	return <$in> // '';
}

sub DESTROY {
	my ($self) = @_;
	return if $self->{owner} != $$ || !$self->{pid};
	local ($?, $!, $@);
	$self->stop;
}

END {
	local ($?, $!, $@);
	$_->DESTROY for grep { defined } reverse @running;
}

1;
