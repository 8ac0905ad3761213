# The stand-in upstream (t/standin): started, asked what it saw, told what to do next.
#
#   my $up = Harness::Standin->start(dir => $dir, key => 'sk-…', tls => 0, args => ['--pieces', 20]);
#   $up->counts->{requests}; $up->wait(cancelled => 1, 2); $up->last; $up->release; $up->next(2, 'status=503'); $up->reset;
package Harness::Standin;

use strict;
use warnings;

use JSON::PP;
use Harness::Client;
use Harness::Process qw(await);

our $SECRET = 'upstream-secret-that-must-not-leak';

sub binary { return ($ENV{PROMPT_FPM_BUILD} // '.') . '/t/standin/standin' }

# port: 0, any. tls: {cert, key} files; perl's core speaks no TLS, so such a stand-in is asked through `openssl s_client`.
sub start {
	my ($class, %with) = @_;
	my $self = bless {tls => $with{tls}, key => $with{key}}, $class;
	$self->{process} = Harness::Process->start(name => $with{name} // 'standin', dir => $with{dir}, command => [
		binary(), '--port', $with{port} // 0, $with{key} ? ('--key', $with{key}) : (),
		$with{tls} ? ('--cert', $with{tls}{cert}, '--key-file', $with{tls}{key}) : (), @{$with{args} // []},
	]);
	my $said = await { $self->{process}->output =~ /^listening (\d+)$/m ? $1 : $self->{process}->alive ? 0 : 'dead' } 5;
	die 'the stand-in did not start: ' . $self->{process}->output . "\n" unless $said && $said ne 'dead';
	$self->{port} = $said;
	return $self;
}

sub port    { $_[0]{port} }
sub process { $_[0]{process} }
sub url     { return ($_[0]{tls} ? 'https' : 'http') . "://127.0.0.1:$_[0]{port}" }
sub stop    { $_[0]{process}->stop }

sub ask_over_tls {
	my ($self, $text) = @_;
	my $pid = open(my $from, '-|') // die "fork: $!\n";
	if (!$pid) {
		open STDERR, '>', '/dev/null';
		open my $to, '|-', qw(openssl s_client -quiet -connect), "127.0.0.1:$self->{port}", '-CAfile', $self->{tls}{cert} or POSIX::_exit(1);
		print {$to} $text;
		close $to;
		POSIX::_exit(0);
	}
	local $/;
	my $answer = <$from>;
	close $from;
	return $answer =~ s/^.*?\r\n\r\n//sr;
}

sub ask {
	my ($self, $method, $path, $body, $timeout) = @_;
	my $client = Harness::Client->new(port => $self->{port}, timeout => $timeout // 5);
	my $text = $client->compose($method, $path, {}, $body);
	my $answer = $self->{tls} ? $self->ask_over_tls($text) : $client->raw($text)->body;
	return decode_json($answer || die "the stand-in does not answer\n");
}

sub counts  { $_[0]->ask('GET', '/_counts') }
sub last    { $_[0]->ask('GET', '/_last') }
sub reset   { $_[0]->ask('POST', '/_reset', '') }
sub release { $_[0]->ask('POST', '/_release', '') }

# Of a stand-in started with --record: the calls that are over, as hashes, by the request ids that their callers gave them.
sub calls {
	my ($self) = @_;
	my $client = Harness::Client->new(port => $self->{port}, timeout => 20);
	my ($names, @lines) = split /\n/, $client->request('GET', '/_calls')->body;
	my @names = split /\t/, $names;
	my %calls;
	for (@lines) {
		my %call;
		@call{@names} = split /\t/;
		push @{$calls{$call{id}}}, \%call;
	}
	return \%calls;
}

# The body of the last call, decoded.
sub last_body { return JSON::PP->new->decode($_[0]->last->{body}) }

# The next calls go as the words say.
sub next {
	my ($self, $calls, $words) = @_;
	my $answer = $self->ask('POST', "/_next?calls=$calls", $words);
	die "the stand-in does not understand: $words\n" if $answer->{error};
}

# True if the counter reached the value within the seconds.
sub wait {
	my ($self, $name, $value, $seconds) = @_;
	my $ms = int(Harness::Process::patience($seconds // 5) * 1000);
	my $counts = $self->ask('GET', "/_wait?$name=$value&timeout_ms=$ms", undef, $ms / 1000 + 2);
	die "the stand-in has no counter $name\n" if $counts->{error};
	return $counts->{$name} >= $value;
}

1;
