# Many callers at once: processes, each with so many requests open as it is told, in one loop over their sockets.
#
#   my $crowd = Harness::Crowd->start(processes => 4, callers => 250, requests => \@requests, tell => sub { my ($request, $answer) = @_; … });
#   $crowd->await(sub { @_ >= 950 }, 20);       # the lines so far
#   my @lines = $crowd->finish;                 # [number of the request, what `tell` returned…]
# A request is {to => client, text => bytes}, with cut => N where its caller leaves after so many bytes of answer, with sent => N where he leaves after so many
# of his own. `requests` may be a sub: it is asked for one number after the other, in the process that makes the request, until it returns nothing or
# ->dismiss was called. Every process connects its first callers before any of them sends.
package Harness::Crowd;

use strict;
use warnings;

use IO::Select;
use POSIX ();
use Harness::Client;
use Harness::Process qw(now patience);

sub start {
	my ($class, %with) = @_;
	my $self = bless {processes => 2, callers => 16, timeout => 30, lines => [], rest => '', ready => 0, pids => [], %with}, $class;
	pipe(my $gate, my $open) or die "pipe: $!\n";
	pipe($self->{lines_from}, my $lines_to) or die "pipe: $!\n";
	for my $n (0 .. $self->{processes} - 1) {
		my $pid = fork // die "fork: $!\n";
		if ($pid) {
			push @{$self->{pids}}, $pid;
			next;
		}
		close $open;
		close $self->{lines_from};
		eval { $self->call($n, $gate, $lines_to); 1 } or syswrite $lines_to, 'error ' . ($@ =~ tr/\n/ /r) . "\n";
		POSIX::_exit(0);
	}
	close $lines_to;
	$self->await(sub { $self->{ready} >= $self->{processes} }, 20) or die "the callers do not connect\n";
	close $open;
	return $self;
}

# ---- In a process of callers

sub begin {
	my ($self, $request) = @_;
	my $socket = $request->{to}->connect;
	return {request => $request, socket => $socket, answer => Harness::Answer->new($socket), seen => 0, until => now() + patience($self->{timeout})};
}

sub call {
	my ($self, $turn, $gate, $to) = @_;
	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	my $requests = $self->{requests};
	my $next = sub {
		return if $stop;
		my $request = ref $requests eq 'CODE' ? $requests->($turn) : $turn <= $#$requests ? $requests->[$turn] : return;
		$request->{number} = $turn if $request;
		$turn += $self->{processes};
		return $request && $self->begin($request);
	};
	my @first = grep { defined } map { $next->() } 1 .. $self->{callers};
	syswrite $to, "ready\n";
	sysread $gate, my $nothing, 1;

	my ($select, %open) = (IO::Select->new);
	my $send = sub {
		my ($caller) = @_;
		my $request = $caller->{request};
		$request->{to}->send_on($caller->{socket}, defined $request->{sent} ? substr $request->{text}, 0, $request->{sent} : $request->{text});
		$open{fileno $caller->{socket}} = $caller;
		$select->add($caller->{socket});
	};
	my $end = sub {
		my ($caller) = @_;
		delete $open{fileno $caller->{socket}};
		$select->remove($caller->{socket});
		$caller->{answer}->close($caller->{request}{reset});
		syswrite $to, join("\t", 'line', $caller->{request}{number}, $self->{tell}->($caller->{request}, $caller->{answer})) . "\n";
		my $another = $next->();
		$send->($another) if $another;
	};
	$send->($_) for @first;
	while (%open) {
		for my $socket ($select->can_read(0.1)) {
			my $caller = $open{fileno $socket};
			my $cut = $caller->{request}{cut};
			$caller->{seen} += $caller->{answer}->advance(defined $cut ? $cut - $caller->{seen} : 65536);
			$end->($caller) if $caller->{answer}->ended || defined $cut && $caller->{seen} >= $cut;
		}
		my $now = now();
		for my $caller (values %open) {
			$caller->{answer}->finish('timeout') if $now > $caller->{until};
			$end->($caller) if $now > $caller->{until} || defined $caller->{request}{sent};
		}
	}
}

# ---- In the test

# What has come by now, waiting for more so many seconds. False at the end.
sub take_lines {
	my ($self, $seconds) = @_;
	return 1 unless IO::Select->new($self->{lines_from})->can_read($seconds);
	sysread $self->{lines_from}, $self->{rest}, 65536, length $self->{rest} or return 0;
	while ($self->{rest} =~ s/^(.*)\n//) {
		my ($kind, @fields) = split /\t/, $1, -1;
		if ($kind eq 'ready')   { $self->{ready}++ }
		elsif ($kind eq 'line') { push @{$self->{lines}}, \@fields }
		else                    { die "a caller: $kind\n" }
	}
	return 1;
}

# Waits until the condition, given the lines so far, is true; false where the time passes or the callers are done before.
sub await {
	my ($self, $condition, $seconds) = @_;
	my $until = now() + patience($seconds);
	while (!$condition->(@{$self->{lines}})) {
		return 0 if now() > $until || !$self->take_lines(0.05);
	}
	return 1;
}

# No further request is begun.
sub dismiss {
	my ($self) = @_;
	kill 'TERM', @{$self->{pids}};
	return $self;
}

# All lines, once all callers are done.
sub finish {
	my ($self) = @_;
	1 while $self->take_lines(1);
	waitpid $_, 0 for splice @{$self->{pids}};
	return @{$self->{lines}};
}

sub DESTROY {
	my ($self) = @_;
	local ($?, $!, $@);
	kill 'KILL', @{$self->{pids}} if @{$self->{pids}};
	waitpid $_, 0 for splice @{$self->{pids}};
}

1;
