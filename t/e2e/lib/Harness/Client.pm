# A caller over a raw socket, so that a test sees what comes, when it comes, and how it ends.
#
#   my $c = Harness::Client->new(port => $port);
#   my $r = $c->request('GET', '/x', {'X-Api-Key' => $key});      # a whole answer
#   my $r = $c->post('/api/ai/chat', {message => 'hi'}, key => $key, headers => {Accept => 'text/event-stream'}, timeout => 5);
#   my $s = $c->open_stream($path, {...}, key => $key);           # the head has been read
#   while (my $piece = $s->read_piece(2)) { $piece->{text}; $piece->{at}; $piece->{lags} }
#   $s->close;                                                    # leave
#   my @r = $c->together([$path, $data, key => $key], …);         # sent at once, over a connection each
#   my $r = $c->raw("GET / HTTP/1.1\r\n…");
#
# An answer has: status, reason, headers (hash, lower case), body, json (decoded), pieces, seconds, ended ('complete', 'cut' or 'timeout').
package Harness::Client;

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;

sub new {
	my ($class, %with) = @_;
	return bless {host => '127.0.0.1', timeout => 20, %with}, $class;
}

sub connect {
	my ($self) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => $self->{host}, PeerPort => $self->{port}, Proto => 'tcp', Timeout => 5)
		or die "cannot connect to $self->{host}:$self->{port}: $@\n";
	$socket->setsockopt(Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
	binmode $socket;
	return $socket;
}

sub compose {
	my ($self, $method, $path, $headers, $body) = @_;
	my %headers = (Host => "$self->{host}:$self->{port}", Connection => 'close', %{$headers // {}});
	$headers{'Content-Length'} //= length $body if defined $body && !exists $headers{'Transfer-Encoding'};
	my @lines = map { "$_: $headers{$_}\r\n" } grep { defined $headers{$_} } sort keys %headers;
	return join '', "$method $path HTTP/1.1\r\n", @lines, "\r\n", $body // '';
}

sub send_on {
	my ($self, $socket, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes) {
		my $n = syswrite $socket, $bytes;
		last if !$n; # the server may answer and close before it has read all
		substr $bytes, 0, $n, '';
	}
}

# Sends bytes as they are and reads what comes.
sub raw {
	my ($self, $bytes, $timeout) = @_;
	return $self->start_raw($bytes)->slurp($timeout // $self->{timeout});
}

sub start_raw {
	my ($self, $bytes) = @_;
	my $socket = $self->connect;
	$self->send_on($socket, $bytes);
	return Harness::Answer->new($socket);
}

sub request {
	my ($self, $method, $path, $headers, $body, $timeout) = @_;
	return $self->raw($self->compose($method, $path, $headers, $body), $timeout);
}

# Data becomes JSON; a plain string is sent as it is.
sub compose_post {
	my ($self, $path, $data, %with) = @_;
	my %headers = ('Content-Type' => 'application/json', %{$with{headers} // {}});
	$headers{Authorization} //= "Bearer $with{key}" if defined $with{key};
	return $self->compose('POST', $path, \%headers, ref $data ? JSON::PP->new->utf8->canonical->encode($data) : $data);
}

sub post {
	my ($self, $path, $data, %with) = @_;
	return $self->raw($self->compose_post($path, $data, %with), $with{timeout});
}

# Like post, but returns as soon as the head is there.
sub open_stream {
	my ($self, $path, $data, %with) = @_;
	my $answer = $self->start_raw($self->compose_post($path, $data, %with));
	$answer->read_head($with{timeout} // $self->{timeout});
	return $answer;
}

# Like post, but returns at once; ->slurp or ->read_head and ->read_piece go on.
sub begin {
	my ($self, $path, $data, %with) = @_;
	return $self->start_raw($self->compose_post($path, $data, %with));
}

# Each request is a list as post takes it. All are connected before the first is sent.
sub together {
	my ($self, @requests) = @_;
	my @texts = map { $self->compose_post(@$_) } @requests;
	my @sockets = map { $self->connect } @requests;
	$self->send_on($sockets[$_], $texts[$_]) for 0 .. $#sockets;
	my @answers = map { Harness::Answer->new($_) } @sockets;
	return map { $_->slurp($self->{timeout}) } @answers;
}

package Harness::Answer;

use strict;
use warnings;

use JSON::PP;
use IO::Select;
use Harness::Process qw(now patience);

sub new {
	my ($class, $socket) = @_;
	return bless {socket => $socket, input => '', state => 'head', body => '', pieces => [], headers => {}, status => 0, began => now()}, $class;
}

sub status  { $_[0]{status} }
sub headers { $_[0]{headers} }
sub header  { $_[0]{headers}{lc $_[1]} }
sub body    { $_[0]{body} }
sub pieces  { @{$_[0]{pieces}} }
sub ended   { $_[0]{ended} }
sub seconds { $_[0]{seconds} }
sub json    { my $j = eval { JSON::PP->new->utf8->decode($_[0]{body}) }; return $j }

# One read of the socket. False when nothing came in time, or nothing more comes.
sub fill {
	my ($self, $until) = @_;
	my $left = $until - now();
	if ($left <= 0 || !IO::Select->new($self->{socket})->can_read($left)) {
		$self->{timed_out} = 1;
		return 0;
	}
	return $self->receive(65536);
}

# The bytes that came, of so many at most; 0 at the end.
sub receive {
	my ($self, $most) = @_;
	my $n = sysread $self->{socket}, $self->{input}, $most, length $self->{input};
	return $n if $n;
	$self->finish(defined $n && $self->{state} eq 'to_close' ? 'complete' : 'cut');
	return 0;
}

# For who waits for many sockets at once and was told that this one has something: one read of it, into the body. Returns as receive.
sub advance {
	my ($self, $most) = @_;
	my $n = $self->receive($most // 65536);
	$self->{body} .= $self->take if $self->has_head && !$self->{ended};
	return $n;
}

sub finish {
	my ($self, $how) = @_;
	return if $self->{ended};
	$self->{ended} = $how;
	$self->{seconds} = now() - $self->{began};
}

sub parse_head {
	my ($self, $head) = @_;
	my ($first, @lines) = split /\r\n/, $head;
	($self->{status}, $self->{reason}) = $first =~ m{^HTTP/1\.[01] (\d{3}) ?(.*)} or die "not an answer: $first\n";
	for (@lines) {
		my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
		my $at = \$self->{headers}{lc $name};
		$$at = defined $$at ? "$$at, $value" : $value;
	}
	my $length = $self->{headers}{'content-length'};
	$self->{state} = ($self->{headers}{'transfer-encoding'} // '') =~ /chunked/i ? 'chunk' : defined $length ? 'counted' : 'to_close';
	$self->{left} = $length // 0;
	$self->{state} = 'counted' if $self->{status} == 204 || $self->{status} == 304;
}

# Whether the input holds the head by now; a 100 Continue is passed over.
sub has_head {
	my ($self) = @_;
	while ($self->{state} eq 'head' && $self->{input} =~ s/^(.*?)\r\n\r\n//s) {
		my $head = $1;
		$self->parse_head($head) unless $head =~ m{^HTTP/1\.1 100};
	}
	return $self->{state} ne 'head';
}

# True once the head is there.
sub read_head {
	my ($self, $timeout) = @_;
	my $until = now() + patience($timeout);
	while (!$self->has_head) {
		return 0 if $self->{ended} || !$self->fill($until);
	}
	return 1;
}

# What of the body the input holds by now, and whether the end has been seen.
sub take {
	my ($self) = @_;
	my $text = '';
	if ($self->{state} eq 'counted') {
		$text = substr $self->{input}, 0, $self->{left}, '';
		$self->{left} -= length $text;
		$self->finish('complete') if $self->{left} == 0;
	} elsif ($self->{state} eq 'to_close') {
		$text = $self->{input};
		$self->{input} = '';
	} else {
		while ($self->{input} =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n/) {
			my ($size, $from) = (hex $1, $+[0]);
			if ($size == 0) {
				$self->finish('complete') if $self->{input} =~ /\r\n\r\n/;
				last;
			}
			last if length($self->{input}) < $from + $size + 2;
			$text .= substr $self->{input}, $from, $size;
			substr $self->{input}, 0, $from + $size + 2, '';
		}
	}
	return $text;
}

# The lags, in milliseconds, of the stand-in's <t=…> stamps that this text completes.
sub lags_of {
	my ($self, $text, $at) = @_;
	my $seen = ($self->{carry} // '') . $text;
	my @lags;
	my $end = 0;
	while ($seen =~ /<t=(\d+)>/g) {
		push @lags, $at * 1000 - $1 / 1000;
		$end = pos $seen;
	}
	my $rest = substr $seen, $end;
	$self->{carry} = length $rest > 40 ? substr $rest, -40 : $rest;
	return \@lags;
}

# The next bytes of the body as {text, at, lags}; undef at the end or when nothing came in time: ->ended tells.
sub read_piece {
	my ($self, $timeout) = @_;
	my $until = now() + patience($timeout // 10);
	return undef unless $self->read_head($timeout // 10);
	$self->{timed_out} = 0;
	while (1) {
		my $text = $self->{ended} ? '' : $self->take;
		if (length $text) {
			my $at = now();
			my $piece = {text => $text, at => $at, lags => $self->lags_of($text, $at)};
			$self->{body} .= $text;
			push @{$self->{pieces}}, $piece;
			return $piece;
		}
		return undef if $self->{ended} || !$self->fill($until);
	}
}

# Reads pieces until the body so far matches; true if it did in time.
sub read_until {
	my ($self, $pattern, $timeout) = @_;
	my $until = now() + patience($timeout // 10);
	while ($self->{body} !~ $pattern) {
		return 0 unless $self->read_piece($until - now());
	}
	return 1;
}

# Reads to the end.
sub slurp {
	my ($self, $timeout) = @_;
	my $until = now() + patience($timeout // 10);
	1 while !$self->{ended} && $until > now() && $self->read_piece($until - now());
	$self->finish('timeout');
	$self->close;
	return $self;
}

# All lags seen, in milliseconds, ascending.
sub lags {
	my ($self) = @_;
	my @lags = sort { $a <=> $b } map { @{$_->{lags}} } $self->pieces;
	return @lags;
}

# Of server-sent events: [{event, data}…]; comments as {comment}.
sub events {
	my ($self) = @_;
	my @events;
	for my $block (split /\n\n/, $self->{body} =~ s/^\xef\xbb\xbf//r =~ s/\r\n/\n/gr) {
		my %event;
		for (split /\n/, $block) {
			if (/^: ?(.*)/) { push @events, {comment => $1} }
			elsif (/^data: ?(.*)/) { $event{data} = defined $event{data} ? "$event{data}\n$1" : $1 }
			elsif (/^(event|id|retry): ?(.*)/) { $event{$1} = $2 }
		}
		push @events, {event => 'message', %event} if exists $event{data};
	}
	return @events;
}

# The caller leaves. With `reset`, by RST.
sub close {
	my ($self, $reset) = @_;
	return unless $self->{socket};
	$self->{socket}->setsockopt(Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0) if $reset;
	close $self->{socket};
	$self->{socket} = undef;
	$self->finish('closed');
}

1;
