# The whole of it for a test: a PostgreSQL of its own, the stand-in upstream, the daemon, a web server in front, all on loopback ports and in a
# directory of their own, all gone when the test ends however it ends.
#
#   my $h = Harness->new(web => 'lighttpd', settings => {heartbeat => '1s'});
#   my $supplier = $h->supplier('starter');                      # {id, key}
#   my $r = $h->post('/api/ai/chat', {message => 'hi'}, key => $supplier->{key});
#   my ($row) = $h->ended_rows(1, supplier_id => $supplier->{id});
#   $h->standin->counts->{requests};
# Options: web (lighttpd, apache, nginx, lighttpd-bin-path, or undef for none), spawn (spawn-fcgi starts the daemon), settings and global (of the two
# sections; undef takes a line away), standin (0: none, the sample provider answers), standin_args, tls (the stand-in speaks TLS), durable (fsync on),
# endpoints (directory), cluster (of another Harness, to share its database), beside (another Harness: share its database and its upstream), env (of the daemon), start (0: the caller starts the parts), quiet (logs
# are not shown after a failure).
package Harness;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use Scalar::Util qw(weaken);
use Cluster;
use Harness::Client;
use Harness::Process qw(await patience now);
use Harness::Standin;
use Harness::Web;

my @running;

# Taken from the daemon's environment, so that nothing of the machine decides how it behaves.
my @foreign = (qw(OPENAI_API_KEY OPENAI_BASE_URL ANTHROPIC_API_KEY ANTHROPIC_BASE_URL LOCAL_BASE_URL DEFAULT_MODEL),
	qw(PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGSERVICE PGPASSFILE PGOPTIONS),
	qw(http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY));

sub build  { return abs_path($ENV{PROMPT_FPM_BUILD} // '.') }
sub source { return Harness::Web::source() }

sub new {
	my ($class, %with) = @_;
	my $self = bless {
		web => 'lighttpd', standin => 1, start => 1, login => 'www', upstream_key => 'sk-standin-' . int rand 1e9, owner => $$, %with,
	}, $class;
	$self->{web_kind} = delete $self->{web};
	@$self{qw(cluster upstream upstream_key standin)} = (@{$self->{beside}}{qw(cluster upstream upstream_key)}, 0) if $self->{beside};
	$self->{dir} = tempdir('pf-e2e-XXXXXX', DIR => '/tmp', CLEANUP => 0);
	chmod 0755, $self->{dir};
	for (qw(www run)) {
		mkdir "$self->{dir}/$_";
		chmod $_ eq 'run' ? 0777 : 0755, "$self->{dir}/$_"; # a web server started as root becomes somebody else
	}
	Harness::Web::spew("$self->{dir}/www/index.html", "<!doctype html><title>A page</title>\n");
	push @running, $self;
	weaken $running[-1];
	$self->start_all if $self->{start};
	return $self;
}

sub start_all {
	my ($self) = @_;
	$self->start_database;
	$self->start_standin if $self->{standin};
	$self->start_daemon unless ($self->{web_kind} // '') eq 'lighttpd-bin-path';
	$self->{web} = $self->start_web($self->{web_kind}) if $self->{web_kind};
	$self->await_ping if $self->{web_kind};
	return $self;
}

sub dir     { $_[0]{dir} }
sub docroot { "$_[0]{dir}/www" }
sub socket  { "$_[0]{dir}/run/fpm.sock" }
sub cluster { $_[0]{cluster} }
sub standin { $_[0]{upstream} }
sub daemon  { $_[0]{daemon} }
sub web     { $_[0]{web} }

# ---- The database

sub start_database {
	my ($self) = @_;
	$self->{cluster} //= Cluster->new(durable => $self->{durable} // 0)->start;
	my ($status, $out, $err) = $self->ctl('migrate', '--worker', $self->{login});
	die "promptctl migrate: $out$err\n" if $status;
}

# A connection as the superuser; a new one where the server was started again.
sub dbh {
	my ($self) = @_;
	$self->{dbh} = $self->{cluster}->dbh unless $self->{dbh} && $self->{dbh}->ping;
	return $self->{dbh};
}

# Rows as hashes.
sub rows {
	my ($self, $sql, @values) = @_;
	return @{$self->dbh->selectall_arrayref($sql, {Slice => {}}, @values)};
}

sub value {
	my ($self, $sql, @values) = @_;
	return scalar $self->dbh->selectrow_array($sql, undef, @values);
}

# Rows of the ledger in the order they were made, where each column named has its value.
sub ledger {
	my ($self, %where) = @_;
	my @columns = sort keys %where;
	my $where = join ' and ', 'true', map { "$_ = ?" } @columns;
	return $self->rows("select * from ai_usage_tracking where $where order by created_at, id", @where{@columns});
}

# Waits until at least `count` such rows have ended and none is open, and returns them; whatever there is when the time is over.
sub ended_rows {
	my ($self, $count, %where) = @_;
	my @rows;
	await { @rows = $self->ledger(%where); @rows >= $count && !grep { $_->{state} eq 'reserved' } @rows } 10;
	return @rows;
}

# ---- promptctl

# Exit status, standard output, standard error. A last argument {stdin => TEXT} is given to it.
sub ctl {
	my ($self, @arguments) = @_;
	my $with = ref $arguments[-1] ? pop @arguments : {};
	my ($in, $out, $err) = map { "$self->{dir}/ctl.$_" } qw(in out err);
	Harness::Web::spew($in, $with->{stdin} // '');
	my $pid = fork // die "fork: $!\n";
	if (!$pid) {
		delete @ENV{@foreign};
		$ENV{PROMPT_FPM_SQL} //= source() . '/sql';
		my $pg = $self->{cluster};
		@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($pg->socket_dir, $pg->port, 'postgres', $pg->{database}) if $pg;
		open STDIN, '<', $in;
		open STDOUT, '>', $out;
		open STDERR, '>', $err;
		exec $self->build . '/promptctl', @arguments or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	my $status = $?;
	return ($status & 127 ? 128 + ($status & 127) : $status >> 8, Harness::Web::slurp($out), Harness::Web::slurp($err));
}

# As ctl, but dies where it fails, and returns the output without its last line's end.
sub ctl_ok {
	my ($self, @arguments) = @_;
	my ($status, $out, $err) = $self->ctl(@arguments);
	die "promptctl @arguments: status $status\n$out$err\n" if $status;
	chomp $out;
	return $out;
}

# A new supplier with a key: {id, key, tier}. Options: organization.
sub supplier {
	my ($self, $tier, %with) = @_;
	my $id = $self->ctl_ok('supplier', 'add', '--tier', $tier, $with{organization} ? ('--organization', $with{organization}) : ());
	return {id => $id, key => $self->ctl_ok('key', 'create', $id), tier => $tier};
}

# ---- The stand-in upstream

sub start_standin {
	my ($self) = @_;
	$self->{certificate} //= $self->make_certificate if $self->{tls};
	$self->{upstream} = Harness::Standin->start(
		dir => $self->{dir}, key => $self->{upstream_key}, tls => $self->{certificate}, args => $self->{standin_args});
}

sub make_certificate {
	my ($self) = @_;
	my ($cert, $key) = ("$self->{dir}/cert.pem", "$self->{dir}/key.pem");
	system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=standin"
		. " -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout $key -out $cert 2>/dev/null") == 0 or die "openssl makes no certificate\n";
	return {cert => $cert, key => $key};
}

# ---- The daemon

sub settings_text {
	my ($self) = @_;
	my $up = $self->{upstream};
	my $run = "$self->{dir}/run";
	my %global = (error_log => "$run/prompt-fpm.log", pid => "$run/prompt-fpm.pid", process_control_timeout => '10s', %{$self->{global} // {}});
	my %pool = (
		listen => $self->socket, 'listen.mode' => '0666', 'pm.max_children' => 2, 'pm.threads' => 64,
		'pm.status_path' => '/api/ai/status', 'ping.path' => '/api/ai/ping',
		endpoints => $self->{endpoints} // source() . '/etc/endpoints', database => $self->{cluster}->conninfo($self->{login}),
		$up ? ('openai.base_url' => $up->url . '/v1', 'openai.api_key' => '${OPENAI_API_KEY}',
			'anthropic.base_url' => $up->url, 'anthropic.api_key' => '${ANTHROPIC_API_KEY}') : (),
		$self->{certificate} ? (tls_ca_file => $self->{certificate}{cert}) : (),
		%{$self->{settings} // {}},
	);
	delete $pool{listen} if $self->is_spawned;
	my $lines = sub { my ($of) = @_; join '', map { "$_ = $of->{$_}\n" } grep { defined $of->{$_} } sort keys %$of };
	return "[global]\n" . $lines->(\%global) . "\n[www]\n" . $lines->(\%pool);
}

# Somebody else opens the daemon's socket.
sub is_spawned { return defined $_[0]{spawn} || ($_[0]{web_kind} // '') eq 'lighttpd-bin-path' }

sub write_settings {
	my ($self) = @_;
	return Harness::Web::spew("$self->{dir}/prompt-fpm.conf", $self->settings_text);
}

sub daemon_command {
	my ($self) = @_;
	return ($self->build . '/prompt-fpm', '--foreground', ($> == 0 ? '--allow-root' : ()), '--config', $self->write_settings);
}

sub daemon_environment {
	my ($self) = @_;
	my %environment = map { $_ => undef } @foreign;
	@environment{qw(OPENAI_API_KEY ANTHROPIC_API_KEY)} = ($self->{upstream_key}) x 2 if $self->{upstream};
	return {%environment, %{$self->{env} // {}}};
}

sub start_daemon {
	my ($self) = @_;
	my @command = $self->daemon_command;
	unlink $self->socket;
	unshift @command, Harness::Web::program('spawn-fcgi'), '-n', '-s', $self->socket, '-M', '0666', '-b', 4096, '--' if defined $self->{spawn};
	$self->{daemon} = Harness::Process->start(
		name => 'prompt-fpm', dir => $self->{dir}, command => \@command, env => $self->daemon_environment);
	await { !$self->{daemon}->alive || IO::Socket::UNIX->new(Peer => $self->socket) } 10;
	die 'prompt-fpm did not start: ' . $self->log_text . "\n" unless $self->{daemon}->alive && IO::Socket::UNIX->new(Peer => $self->socket);
}

# Returns its wait status.
sub stop_daemon {
	my ($self, $seconds) = @_;
	return $self->{daemon}->stop($seconds // 15);
}

# The master's process id, whoever started it.
sub master {
	my ($self) = @_;
	return $self->{daemon}->pid if $self->{daemon};
	my $pid = eval { Harness::Web::slurp("$self->{dir}/run/prompt-fpm.pid") } // return undef;
	return $pid + 0;
}

# The process ids of its children, or of those whose name, as ps shows it, matches.
sub children {
	my ($self, $name) = @_;
	return grep { !defined $name || (eval { Harness::Web::slurp("/proc/$_/comm") } // '') =~ $name } children_of($self->master // return);
}

# The processes whose parent is this one.
sub children_of {
	my ($pid) = @_;
	my @children = map { split } map { eval { Harness::Web::slurp($_) } // '' } glob "/proc/$pid/task/*/children";
	return @children;
}

# Processes that serve requests.
sub workers { return $_[0]->children(qr/worker/) }

# Memory of all its processes together, shared pages counted once, in KB. 0 where the system does not tell: the daemon lets nobody but root look at
# its memory, which holds keys.
sub pss_kb {
	my ($self) = @_;
	my $sum = 0;
	for my $pid ($self->master, $self->children) {
		my $text = eval { Harness::Web::slurp("/proc/$pid/smaps_rollup") } // next;
		$sum += $1 if $text =~ /^Pss:\s+(\d+)/m;
	}
	return $sum;
}

# All it logged and printed.
sub log_text {
	my ($self) = @_;
	my @files = glob "$self->{dir}/run/prompt-fpm*.log";
	return join '', ($self->{daemon} ? $self->{daemon}->output : ''), map { eval { Harness::Web::slurp($_) } // '' } @files;
}

# Waits until the log matches.
sub await_log {
	my ($self, $pattern, $seconds) = @_;
	return await { $self->log_text =~ $pattern } $seconds // 5;
}

# ---- The web server, and calls through it

# Starts one more web server of a kind; the first is ->web.
sub start_web {
	my ($self, $kind) = @_;
	mkdir(my $run = "$self->{dir}/run/" . ($self->{webs} = ($self->{webs} // 0) + 1));
	chmod 0777, $run;
	my $bin_path = $kind eq 'lighttpd-bin-path';
	my $web = Harness::Web->start(kind => $kind, dir => $run, docroot => $self->docroot, socket => $self->socket,
		$bin_path ? (daemon => [$self->daemon_command], env => $self->daemon_environment) : ());
	push @{$self->{all_webs}}, $web;
	return $web;
}

# A caller of the first web server, or of the one given.
sub client {
	my ($self, $web) = @_;
	return Harness::Client->new(port => ($web // $self->{web})->port);
}

sub request     { my $self = shift; return $self->client->request(@_) }
sub post        { my $self = shift; return $self->client->post(@_) }
sub begin       { my $self = shift; return $self->client->begin(@_) }
sub open_stream { my $self = shift; return $self->client->open_stream(@_) }
sub together    { my $self = shift; return $self->client->together(@_) }

# Until the daemon answers through the web server.
sub await_ping {
	my ($self, $web) = @_;
	my $client = $self->client($web);
	await { (eval { $client->request('GET', '/api/ai/ping', {}, undef, 2)->status } // 0) == 200 } 10
		or die "no ping through the web server:\n" . $self->log_text . join('', map { $_->log } @{$self->{all_webs}}) . "\n";
}

# ---- The end

# Cluster does likewise for the other signals: END must run, or what was started stays. This one comes where the output's reader has gone.
$SIG{PIPE} //= sub { exit 1 };

sub failed {
	my $builder = Test::Builder->can('new') ? Test::Builder->new : return 0;
	return !$builder->is_passing;
}

sub tail {
	my ($text, $count) = @_;
	my @lines = split /\n/, $text;
	@lines = @lines[-$count .. -1] if @lines > $count;
	return join '', map { '# ' . substr($_, 0, 400) . "\n" } @lines;
}

sub clean {
	my ($self) = @_;
	return if $self->{gone} || $self->{owner} != $$;
	$self->{gone} = 1;
	local ($?, $!, $@);
	$_->stop for @{$self->{all_webs} // []};
	$self->{daemon}->stop if $self->{daemon};
	$self->{upstream}->stop if $self->{upstream} && !$self->{beside};
	$self->{dbh}->disconnect if $self->{dbh};
	if (!$self->{quiet} && (failed() || $self->{show_log})) {
		print STDERR "# What the daemon and the web server said last:\n", tail($self->log_text, 40), map { tail($_->log, 10) } @{$self->{all_webs} // []};
	}
	remove_tree($self->{dir}) unless $ENV{PROMPT_FPM_KEEP};
}

sub DESTROY { $_[0]->clean }

END {
	my $status = $?;
	for (grep { defined } @running) {
		$_->{show_log} = 1 if $status;
		$_->clean;
	}
	$? = $status;
}

1;
