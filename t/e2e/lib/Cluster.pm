# A PostgreSQL of the tests' own: private data directory, unix socket only, gone when the object goes. The tests must be able to stop it, kill it
# and start it again without anybody's service noticing.
#
#   my $pg = Cluster->new->start->migrate;     # an empty database with our schema
#   $pg->psql('select 1'); $pg->dbh; $pg->dsn; $pg->conninfo('login_role');
#   $pg->stop('immediate'); $pg->start;
#   $pg->pool and $pg->pool_conninfo('login_role'); $pg->stop_pool;   # the same through PgBouncer
package Cluster;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);

my @running;

# database: name of the database to make (prompt_fpm). durable: keep fsync on, for benchmarks. settings: more lines of postgresql.conf, as a hash.
sub new {
	my ($class, %with) = @_;
	my $self = bless {
		database => 'prompt_fpm', durable => 0, settings => {}, bin => bindir(), owner => $$, %with,
	}, $class;
	$self->{dir} = tempdir('pf-sql-XXXXXX', DIR => '/tmp', CLEANUP => 0);
	$self->{log} = "$self->{dir}/log";
	push @running, $self;
	require Scalar::Util;
	Scalar::Util::weaken($running[-1]);
	return $self;
}

sub bindir {
	return $ENV{PG_BINDIR} if $ENV{PG_BINDIR};
	my @found = sort { ($b =~ m{/(\d+)/bin})[0] <=> ($a =~ m{/(\d+)/bin})[0] } grep { -x "$_/initdb" } glob '/usr/lib/postgresql/*/bin';
	return $found[0] if @found;
	chomp(my $dir = `pg_config --bindir 2>/dev/null`);
	die "no PostgreSQL server programs found: set PG_BINDIR\n" unless -x "$dir/initdb";
	return $dir;
}

# initdb and postgres refuse to run as root: there they run as the user postgres.
sub as_server {
	my ($self, @command) = @_;
	unshift @command, 'runuser', '-u', 'postgres', '--' if $> == 0;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		chdir '/';
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $self->{output};
		open STDERR, '>&', \*STDOUT;
		exec @command or exit 127;
	}
	waitpid $pid, 0;
	return $? >> 8 || $?;
}

sub init {
	my ($self) = @_;
	$self->{output} = "$self->{dir}/commands";
	chmod 0755, $self->{dir};
	if ($> == 0) {
		my (undef, undef, $uid, $gid) = getpwnam 'postgres';
		die "running as root, and there is no user postgres to run the server as\n" unless defined $uid;
		chown $uid, $gid, $self->{dir};
	}
	$self->as_server("$self->{bin}/initdb", '-D', "$self->{dir}/data", '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N')
		and die "initdb failed:\n" . $self->said($self->{output});
	my %set = (
		listen_addresses => '', unix_socket_directories => $self->{dir}, port => 5432, max_connections => 100, shared_buffers => '64MB',
		timezone => 'Europe/Zurich', log_min_messages => 'warning', deadlock_timeout => '1s',
		$self->{durable} ? () : (fsync => 'off', synchronous_commit => 'on'), %{$self->{settings}},
	);
	open my $conf, '>>', "$self->{dir}/data/postgresql.conf" or die "postgresql.conf: $!";
	print {$conf} "$_ = '$set{$_}'\n" for sort keys %set;
	close $conf;
}

sub start {
	my ($self) = @_;
	my $new = !-e "$self->{dir}/data/PG_VERSION";
	$self->init if $new;
	$self->as_server("$self->{bin}/pg_ctl", '-D', "$self->{dir}/data", '-l', $self->{log}, '-w', '-t', 60, '-s', 'start')
		and die "PostgreSQL did not start:\n" . $self->said($self->{log});
	$self->{up} = 1;
	$self->psql("create database $self->{database}", 'postgres') if $new && $self->{database} ne 'postgres';
	return $self;
}

# Modes are pg_ctl's: smart, fast, immediate (a crash, as far as PostgreSQL is concerned).
sub stop {
	my ($self, $mode) = @_;
	return $self unless $self->{up};
	$self->as_server("$self->{bin}/pg_ctl", '-D', "$self->{dir}/data", '-w', '-t', 60, '-s', '-m', $mode // 'fast', 'stop');
	$self->{up} = 0;
	return $self;
}

sub socket_dir { $_[0]{dir} }
sub port       { 5432 }

# libpq's form, for PROGRAM --database or a settings file.
sub conninfo {
	my ($self, $user) = @_;
	return sprintf 'host=%s port=5432 dbname=%s user=%s', $self->{dir}, $self->{database}, $user // 'postgres';
}

# DBI's form.
sub dsn {
	my ($self, $user) = @_;
	(my $rest = $self->conninfo($user)) =~ tr/ /;/;
	return "dbi:Pg:$rest";
}

# A new connection that raises errors; the caller disconnects it.
sub dbh {
	my ($self, $user, %attributes) = @_;
	require DBI;
	return DBI->connect($self->dsn($user), undef, undef,
		{ RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_server_prepare => 0, InactiveDestroy => 0, AutoInactiveDestroy => 1, %attributes });
}

# Runs SQL text as the superuser, stops at the first error and dies with it; returns what psql -At printed.
sub psql {
	my ($self, $sql, $database) = @_;
	my $file = File::Temp->new(DIR => '/tmp', TEMPLATE => 'pf-psql-XXXXXX');
	print {$file} $sql;
	$file->flush;
	my ($status, $out) = $self->psql_file("$file", $database);
	die "psql: $out\n" if $status;
	chomp $out;
	return $out;
}

# Exit status and everything printed, of `psql -f FILE`; more arguments for psql may follow.
sub psql_file {
	my ($self, $file, $database, @more) = @_;
	local @ENV{qw(PGOPTIONS PGDATABASE PGSERVICE)};
	my @command = ("$self->{bin}/psql", '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $self->{dir}, '-p', 5432, '-U', 'postgres',
		'-d', $database // $self->{database}, @more, '-f', $file);
	my $pid = open(my $pipe, '-|') // die "fork: $!";
	if (!$pid) {
		open STDERR, '>&', \*STDOUT;
		exec @command or exit 127;
	}
	local $/;
	my $out = <$pipe> // '';
	close $pipe;
	return ($? >> 8, $out);
}

# Brings the schema in, in the order and the one transaction of `promptctl migrate`. user: who migrates (postgres).
sub migrate {
	my ($self, %with) = @_;
	my $sql = $with{sql} // abs_path(dirname(__FILE__) . '/../../../sql');
	my $number = sub { ($_[0] =~ m{/(\d+)_[^/]+$})[0] };
	my @migrations = sort { $number->($a) <=> $number->($b) } glob "$sql/migrations/[0-9]*.sql";
	my $text = "set client_min_messages = warning; begin; select pg_advisory_xact_lock(x'70667066'::bigint); create schema if not exists fpm;\n"
		. "create table if not exists fpm.migrations (number int primary key, name text not null, digest text not null,"
		. " applied_at timestamptz not null default now());\n";
	for my $file (@migrations) {
		my ($n, $name) = $file =~ m{/(\d+)_([^/]+)\.sql$};
		$text .= "select not exists (select from fpm.migrations m where m.number = $n) as missing \\gset\n\\if :missing\n\\i $file\n"
			. "insert into fpm.migrations (number, name, digest) values ($n, '$name', 'test');\n\\endif\n";
	}
	$text .= "\\i $_\n" for sort(glob "$sql/functions/*.sql"), "$sql/grants.sql";
	my $out = File::Temp->new(DIR => '/tmp', TEMPLATE => 'pf-psql-XXXXXX');
	print {$out} ($with{user} ? "set session authorization $with{user};\n" : ''), $text, "commit;\n";
	$out->flush;
	my ($status, $said) = $self->psql_file("$out");
	die "migrate: $said\n" if $status;
	return $self;
}

# A login role that may do what a worker may, as `promptctl migrate --worker` makes it.
sub worker_role {
	my ($self, $name) = @_;
	$self->psql("create role $name login; grant fpm_worker to $name;");
	return $name;
}

# Starts a PgBouncer in transaction mode in front, as port 6432 of the same socket directory; false where none is installed. It goes with the cluster.
sub pool {
	my ($self, $size) = @_;
	my ($program) = grep { -x } qw(/usr/sbin/pgbouncer /usr/bin/pgbouncer) or return;
	my $dir = $self->{dir};
	open my $users, '>', "$dir/pgbouncer.users" or die "pgbouncer.users: $!";
	print {$users} map { "\"$_\" \"\"\n" } split /\n/, $self->psql('select rolname from pg_roles where rolcanlogin');
	close $users;
	open my $ini, '>', "$dir/pgbouncer.ini" or die "pgbouncer.ini: $!";
	print {$ini} "[databases]\n* = host=$dir port=5432\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = $dir\n",
		"auth_type = trust\nauth_file = $dir/pgbouncer.users\npool_mode = transaction\ndefault_pool_size = ", $size // 8,
		"\nserver_login_retry = 1\nmax_client_conn = 500\nlogfile = $dir/pgbouncer.log\npidfile = $dir/pgbouncer.pid\n";
	close $ini;
	$self->as_server($program, '-q', '-d', "$dir/pgbouncer.ini");
	for (1 .. 100) {
		return 1 if -S "$dir/.s.PGSQL.6432";
		select undef, undef, undef, 0.05;
	}
	die "PgBouncer did not start:\n" . $self->said("$dir/pgbouncer.log");
}

# signal: TERM; KILL is a crash, waited for.
sub stop_pool {
	my ($self, $signal) = @_;
	open my $file, '<', "$self->{dir}/pgbouncer.pid" or return;
	chomp(my $pid = <$file> // '');
	return unless $pid =~ /^\d+$/ && kill $signal // 'TERM', $pid;
	return if ($signal // 'TERM') ne 'KILL';
	select undef, undef, undef, 0.01 while -e "/proc/$pid" && $self->said("/proc/$pid/stat") !~ /\) Z/;
	unlink "$self->{dir}/.s.PGSQL.6432", "$self->{dir}/pgbouncer.pid";
}

# conninfo, through it.
sub pool_conninfo {
	my ($self, $user) = @_;
	return $self->conninfo($user) =~ s/port=5432/port=6432/r;
}

sub said {
	my ($self, $file) = @_;
	open my $handle, '<', $file or return '';
	my @lines = <$handle>;
	return join '', @lines > 30 ? @lines[-30 .. -1] : @lines;
}

sub clean {
	my ($self) = @_;
	return if $self->{gone} || $self->{owner} != $$;
	$self->{gone} = 1;
	local ($?, $!, $@);
	$self->stop_pool;
	$self->stop('immediate');
	remove_tree($self->{dir});
}

sub DESTROY { $_[0]->clean }
END { $_->clean for grep { defined } @running }

# So that END runs when somebody ends the test.
for my $signal (qw(INT TERM HUP)) {
	$SIG{$signal} //= sub { exit 1 };
}

1;
