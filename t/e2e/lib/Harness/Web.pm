# Web servers in front of the daemon, in the foreground, with the configuration that is shipped in etc/.
#
#   my $web = Harness::Web->start(kind => 'lighttpd', dir => $dir, docroot => $docroot, socket => $path);
# Kinds: lighttpd, apache, nginx; lighttpd-bin-path is lighttpd starting the daemon itself (daemon: its command).
package Harness::Web;

use strict;
use warnings;

use Cwd qw(abs_path);
use IO::Socket::INET;
use Harness::Process qw(await);

my %start = (lighttpd => \&lighttpd, apache => \&apache, nginx => \&nginx, 'lighttpd-bin-path' => \&lighttpd_bin_path);

# A port that was free a moment ago.
sub free_port {
	my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp', Listen => 1) or die "no free port: $@\n";
	return $probe->sockport;
}

sub program {
	my ($name) = @_;
	for (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') {
		return "$_/$name" if -x "$_/$name";
	}
	die "$name is not installed\n";
}

sub slurp {
	my ($file) = @_;
	open my $in, '<', $file or die "$file: $!\n";
	local $/;
	return scalar(<$in>) // '';
}

sub spew {
	my ($file, $text) = @_;
	open my $out, '>', $file or die "$file: $!\n";
	print {$out} $text;
	close $out;
	return $file;
}

sub start {
	my ($class, %with) = @_;
	my $start = $start{$with{kind}} or die "no such web server: $with{kind}\n";
	my $self = bless {%with}, $class;
	for my $try (1 .. 3) {
		$self->{port} = $with{port} || free_port();
		my @command = $start->($self);
		$self->{process} = Harness::Process->start(name => $self->{kind}, dir => $self->{dir}, command => \@command, env => $self->environment);
		return $self if await { !$self->{process}->alive || $self->answers } 10 and $self->{process}->alive;
		$self->{process}->stop;
	}
	die "$with{kind} did not start:\n" . $self->log . "\n";
}

sub environment {
	my ($self) = @_;
	return {
		PROMPT_FPM_PORT => $self->{port}, PROMPT_FPM_DOCROOT => $self->{docroot}, PROMPT_FPM_RUN => $self->{dir},
		PROMPT_FPM_SOCKET => $self->{socket}, PROMPT_FPM_SRC => source(), %{$self->{env} // {}},
	};
}

sub source { return abs_path($ENV{PROMPT_FPM_SRC} // (__FILE__ =~ s{[^/]+$}{}r . '../../../..')) }

sub answers {
	my ($self) = @_;
	return defined IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp', Timeout => 1);
}

sub port    { $_[0]{port} }
sub process { $_[0]{process} }
sub stop    { $_[0]{process}->stop($_[1]) }

# What it printed and logged.
sub log {
	my ($self) = @_;
	return join '', $self->{process}->output, map { slurp($_) } glob "$self->{dir}/*error.log";
}

sub lighttpd { return (program('lighttpd'), '-D', '-f', source() . '/etc/lighttpd/lighttpd.conf') }
sub apache   { return (program('apache2'), '-D', 'FOREGROUND', '-f', source() . '/etc/apache/httpd.conf') }

# The shipped configuration, but with a daemon of its own on its first route, and without the second: one daemon is enough here.
sub lighttpd_bin_path {
	my ($self) = @_;
	my $whole = slurp(source() . '/etc/lighttpd/lighttpd.conf');
	my $fpm = slurp(source() . '/etc/lighttpd/prompt-fpm.conf');
	my $command = join ' ', @{$self->{daemon}};
	$fpm =~ s{"check-local"(\s*)=> "disable",}{$& "bin-path" => "$command", "max-procs" => 1,} or die "no route to give bin-path to\n";
	$fpm =~ s{,\s*"\.prompt" => \(\(.*?\)\)}{}s;
	$whole =~ s{include "prompt-fpm.conf"}{$fpm} or die "lighttpd.conf does not include prompt-fpm.conf\n";
	return (program('lighttpd'), '-D', '-f', spew("$self->{dir}/lighttpd.conf", $whole));
}

sub nginx {
	my ($self) = @_;
	my $routes = join '', map {
		"location $_ { fastcgi_pass unix:$self->{socket}; fastcgi_buffering off; fastcgi_read_timeout 600s;\n"
		. "include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name; fastcgi_param HTTP_PROXY ''; }\n"
	} '/api/ai/', '~ \.prompt$';
	return nginx_command($self->{dir}, <<"END");
	server { listen 127.0.0.1:$self->{port} backlog=4096; root $self->{docroot};
		$routes
	}
END
}

# An nginx for these server blocks that leaves everything it writes in `dir`.
sub nginx_command {
	my ($dir, $servers) = @_;
	my $user = $> == 0 ? 'user www-data;' : '';
	my $temp = join ' ', map { "${_}_temp_path $dir/nginx-$_;" } qw(client_body proxy fastcgi uwsgi scgi);
	my $conf = spew("$dir/nginx.conf", <<"END");
$user
worker_processes auto; worker_rlimit_nofile 16384; pid $dir/nginx.pid; error_log $dir/nginx.error.log;
events { worker_connections 8192; }
http {
	access_log off; keepalive_requests 1000000; $temp
$servers
}
END
	return (program('nginx'), '-e', "$dir/nginx.error.log", '-p', $dir, '-c', $conf, '-g', 'daemon off;');
}

1;
