# The house has floors: a file includes from its own or from those below, never from above; the pipeline's steps never include each other; and each
# foreign library is entered through one file of src/port/.
use strict;
use warnings;
use File::Find;
use Test::More;

my $src = ($ENV{PROMPT_FPM_SRC} // '.') . '/src';
my %floor = (base => 1, port => 2, prompt => 3, provider => 4, request => 5, daemon => 6, ctl => 6);

# The steps and the filter: each knows its contract (request.h and below) and nothing of the others.
my %step = map { $_ => 1 } qw(read authenticate validate render idempotency moderate admit generate retry fallback check repair filter respond settle);

# Foreign header => the one file that may include it. OpenSSL has two doors: digests and randomness, and the certificates that curl's connections share. So has
# libpq: the connections that the daemon calls on, and the commands' sessions.
my @foreign = (
	[qr{^fcgi}, 'port/fcgi.c'],
	[qr{^curl/}, 'port/http_pair.h'],
	[qr{^openssl/(?:ssl|err|x509\w*)\.h}, 'port/tls.c'],
	[qr{^openssl/}, 'port/token.c'],
	[qr{^(?:libpq-|postgres|pg_)}, 'port/db_wire.h', 'port/db_session.c'],
	[qr{^json}, 'port/json.c'],
	[qr{^pcre2}, 'port/regex.c'],
	[qr{^yaml\.h}, 'port/yaml.c'],
	[qr{^ini\.h}, 'port/ini.c'],
);

# What may come from the system: C11 and POSIX or Linux.
my $system = qr{^(?:assert|ctype|endian|errno|fcntl|float|getopt|glob|grp|libgen|inttypes|limits|locale|math|netdb|poll|pthread|pwd|sched|signal|spawn|stdalign|stdarg|
	malloc|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|syslog|termios|threads|time|unistd|wchar|dirent|fnmatch|ftw|semaphore|
	arpa/inet|net/if|netinet/in|netinet/tcp|linux/\w+|sys/\w+)\.h$}x;

my (@upward, @unknown, @sideways, @breach, $files);

sub look_at {
	my ($file, $line, $open, $included) = @_;
	my ($folder, $name) = $file =~ m{^(\w+)/(\w+)\.[ch]$} or return push @unknown, "$file: not in a floor's folder";
	if ($open eq '"') {
		my ($to, $what) = $included =~ m{^(\w+)/(\w+)\.h$};
		return push @unknown, "$file:$line: $included" if !defined $to || !$floor{$to};
		push @upward, "$file:$line: $included" if $floor{$to} > $floor{$folder} || ($floor{$to} == $floor{$folder} && $to ne $folder);
		push @sideways, "$file:$line: $included" if $folder eq 'request' && $to eq 'request' && $step{$name} && $step{$what} && $what ne $name;
		return;
	}
	for (@foreign) {
		my ($header, @owners) = @$_;
		next if $included !~ $header;
		push @breach, "$file:$line: $included belongs to @owners" if !grep { $file eq $_ } @owners;
		return;
	}
	push @unknown, "$file:$line: <$included>" if $included !~ $system;
}

sub read_file {
	return if !/\.[ch]$/;
	$files++;
	(my $file = $File::Find::name) =~ s{^\Q$src\E/}{};
	open my $in, '<', $_ or die "$file: $!";
	while (<$in>) {
		look_at($file, $., $1, $2) if /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
	}
}

find(\&read_file, $src);
cmp_ok($files, '>', 10, 'there are sources');
is_deeply(\@upward, [], 'no file includes from a floor above or beside its own');
is_deeply(\@sideways, [], 'the steps of the pipeline do not include each other');
is_deeply(\@breach, [], 'each foreign library is entered through one file');
is_deeply(\@unknown, [], 'nothing else is included');
done_testing;
