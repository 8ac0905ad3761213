# FastCGI.pm - a FastCGI client (FastCGI 1.0, responder role), so that the daemon can be tested without a web server.
package FastCGI;

use strict;
use warnings;
use IO::Select;
use IO::Socket::IP;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

use constant {BEGIN_REQUEST => 1, END_REQUEST => 3, PARAMS => 4, INPUT => 5, OUTPUT => 6, RESPONDER => 1, KEEP_CONN => 1};

# A connection to "/path", "host:port" or ":port"; undef with $! where there is none.
sub connect_to {
	my ($address) = @_;
	return IO::Socket::UNIX->new(Peer => $address) if $address =~ m{^/};
	my ($host, $port) = $address =~ /^\[?([^\]]*?)\]?:(\d+)$/ or die "bad address $address";
	return IO::Socket::IP->new(PeerHost => $host eq '' ? '127.0.0.1' : $host, PeerPort => $port);
}

sub record {
	my ($type, $bytes) = @_;
	my $padding = -length($bytes) % 8;
	return pack('CCnnCx', 1, $type, 1, length $bytes, $padding) . $bytes . "\0" x $padding;
}

sub stream {
	my ($type, $bytes) = @_;
	my $records = '';
	$records .= record($type, substr $bytes, 0, 32000, '') while length $bytes;
	return $records . record($type, '');
}

sub pair {
	my ($name, $value) = @_;
	return join('', map { length() < 128 ? pack('C', length) : pack('N', length() | 0x80000000) } $name, $value) . $name . $value;
}

# All records of a request: method, uri, body, and params => {NAME => value}; keep => 1 asks to keep the connection.
sub request_bytes {
	my (%request) = @_;
	my $body = $request{body} // '';
	my %params = (
		REQUEST_METHOD => $request{method} // ($body eq '' ? 'GET' : 'POST'),
		REQUEST_URI => $request{uri} // '/',
		SERVER_PROTOCOL => 'HTTP/1.1',
		CONTENT_LENGTH => length $body,
		%{$request{params} // {}});
	return record(BEGIN_REQUEST, pack('nCx5', RESPONDER, $request{keep} ? KEEP_CONN : 0))
		. stream(PARAMS, join '', map { pair($_, $params{$_}) } grep { defined $params{$_} } sort keys %params)
		. stream(INPUT, $body);
}

# A request on its way: start() sends it, more() reads what there is, done() says whether it has ended, answer() tells. With hold => 1 the end of its
# body is kept back until release(): so long it is in the server's hand.
sub start {
	my ($class, $address, %request) = @_;
	my $socket = connect_to($address) or return undef;
	my $self = bless {socket => $socket, in => '', out => '', ended => 0, closed => 0}, $class;
	my $bytes = request_bytes(%request);
	$self->{held} = substr $bytes, -8, 8, '' if $request{hold};
	$self->send_all($bytes);
	return $self;
}

sub send_all {
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	while (length $bytes) {
		my $n = syswrite $self->{socket}, $bytes;
		return 0 unless defined $n;
		substr $bytes, 0, $n, '';
	}
	return 1;
}

sub release {
	my ($self) = @_;
	$self->send_all(delete $self->{held});
	return $self;
}

sub socket { return $_[0]{socket} }
sub done { return $_[0]{closed} }
sub complete { return $_[0]{ended} }
sub text { return $_[0]{out} }

sub more {
	my ($self) = @_;
	my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
	$self->{closed} = 1 unless $n;
	while (length $self->{in} >= 8) {
		my (undef, $type, undef, $length, $padding) = unpack 'CCnnC', $self->{in};
		last if length $self->{in} < 8 + $length + $padding;
		my $content = substr $self->{in}, 8, $length;
		substr $self->{in}, 0, 8 + $length + $padding, '';
		$self->{out} .= $content if $type == OUTPUT;
		$self->{ended} = 1 if $type == END_REQUEST;
	}
	return !$self->{closed};
}

# Reads to the end, for at most so many seconds; whether it came to a proper end.
sub finish {
	my ($self, $seconds) = @_;
	my $deadline = time + ($seconds // 10);
	my $select = IO::Select->new($self->{socket});
	while (!$self->{closed}) {
		my $left = $deadline - time;
		last if $left <= 0;
		$self->more if $select->can_read($left);
	}
	return $self->{ended};
}

# The whole answer: {status, headers => {lower-case name => value}, body}; undef where it did not come to a proper end.
sub answer {
	my ($self, $seconds) = @_;
	return undef unless $self->finish($seconds);
	my ($head, $body) = split /\r?\n\r?\n/, $self->{out}, 2;
	my %headers = map { /^([^:]+):\s*(.*)/ ? (lc $1 => $2) : () } split /\r?\n/, $head // '';
	my ($status) = ($headers{status} // '200') =~ /^(\d+)/;
	return {status => $status, headers => \%headers, body => $body // ''};
}

# One request from its start to its end.
sub get {
	my ($class, $address, %request) = @_;
	my $self = $class->start($address, %request) or return undef;
	return $self->answer($request{seconds});
}

# Many at once; finishes them all and returns them.
sub together {
	my ($class, $seconds, @requests) = @_;
	my $deadline = time + $seconds;
	my %open = map { fileno($_->{socket}) => $_ } @requests;
	my $select = IO::Select->new(map { $_->{socket} } @requests);
	while (%open && time < $deadline) {
		for my $socket ($select->can_read($deadline - time)) {
			my $request = $open{fileno $socket};
			next if $request->more;
			$select->remove($socket);
			delete $open{fileno $socket};
		}
	}
	return @requests;
}

1;
