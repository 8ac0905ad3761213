# Who kept his caller waiting is in the slow log, with where the time went; who was quick is not, nor a stream that was long because much was said.
use strict;
use warnings;

use File::Temp qw(tempdir);
use JSON::PP;
use List::Util qw(max);
use Test::More;
use FastCGI;
use Harness;
use Harness::Process qw(await);
use Harness::Web;
use Wedding qw(email directive);

my $LIMIT_MS = 3000;
my $SLOW_MS = 5000; # what is slow, and how long whoever waits for that waits at least: no busy machine makes one of the others so slow
my $SECRET = 'the-bride-is-called-Ann';

my $logs = tempdir('pf-slow-XXXXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0777, $logs;
my %settings = (slowlog => "$logs/slow", request_slowlog_timeout => "${LIMIT_MS}ms", 'database.statement_timeout' => '60s', send_timeout => '60s', 'pm.max_children' => 2);
my $h = Harness->new(web => 'lighttpd', settings => {%settings});
my ($s, $held) = map { $h->supplier('enterprise') } 1, 2;

sub slurp { my ($file) = @_; return -e "$logs/$file" ? Harness::Web::slurp("$logs/$file") : '' }
sub begin { my ($words, $by, %more) = @_; return $h->begin($Wedding::EMAIL, email("$SECRET @{[directive($words)]}", %more), key => $by->{key}) }
sub stream { my ($words) = @_; return begin($words, $s, stream => JSON::PP::true) }
sub quick { my ($name, $status, $with, $body) = @_; is $h->post($Wedding::EMAIL, $body // email($SECRET), %$with)->status, $status, $name }

# The entries of a file by their ids: the fields of each, and its steps.
sub entries {
	my %entries;
	for (split /^/m, slurp($_[0])) {
		like $_, qr/^\d{4}-\d\d-\d\dT\S+Z warning slow id=req_\w{22} .* steps_us=\S+\n\z/, 'an entry is a whole line';
		my %fields = /(\w+)=(\S+)/g;
		$fields{steps} = {map { split /:/ } split /,/, $fields{steps_us}};
		$entries{$fields{id}} = \%fields;
	}
	return \%entries;
}

# Someone who takes none of a large answer's bytes.
sub unread {
	my $body = encode_json(email("$SECRET @{[directive('huge=240000 pieces=4')]}", stream => JSON::PP::true));
	return FastCGI->start($h->socket, uri => $Wedding::EMAIL, method => 'POST', body => $body, params => {HTTP_AUTHORIZATION => "Bearer $s->{key}"});
}

quick('the first of all', 200, {key => $s->{key}});
my $again = email($SECRET);
quick('one that is quick', 200, {key => $s->{key}}, $again);

# Some that wait for one thing each, all of them until the last to begin has ended; and two streams that are as long without waiting: one whose caller stays, and one that runs on
# because its caller may come back.
my %slow = (paused => stream('gate=2'));
ok $slow{paused}->read_until(qr/(<t=\d+>.*?){2}/s, 10), 'a stream that begins, and pauses';
my $deaf = unread();
my $long = stream('pieces=25 delay_ms=' . $SLOW_MS / 25);
$slow{late} = stream("start_ms=$SLOW_MS");
my $left = $h->begin($Wedding::EMAIL, email(directive('pieces=25 delay_ms=' . $SLOW_MS / 25), stream => JSON::PP::true), key => $s->{key}, headers => {'Idempotency-Key' => '"left"'});
ok $left->read_until(qr/<t=\d+>/, 10), 'one begins that is not read to its end';
$left->close;
my $made = email(directive('gate=0'));
$slow{maker} = $h->begin($Wedding::EMAIL, $made, key => $s->{key});
ok $h->standin->wait(requests => 8, 10), 'all are with the provider';
$slow{same} = $h->begin($Wedding::EMAIL, $made, key => $s->{key});
rename "$logs/slow", "$logs/slow.1" or die "slow: $!";
$h->daemon->signal('USR1');
ok((await { -e "$logs/slow" }), 'the file is rotated meanwhile');
my $holder = $h->cluster->dbh;
$holder->begin_work;
$holder->do(q{select pg_advisory_xact_lock(fpm.lock_key(?, 'email_template'))}, undef, $held->{id});
$slow{database} = begin('pieces=1', $held);
ok((await { $h->value('select count(*) from pg_locks where not granted') }), 'one waits for the database');
$slow{provider} = begin("delay_ms=$SLOW_MS", $s);
quick('another that is quick', 200, {key => $s->{key}});
quick('one from the cache', 200, {key => $s->{key}}, $again);
quick('one without a key', 401, {});
quick('one that is wrong', 400, {key => $s->{key}}, {templateType => $SECRET});
$slow{provider}->slurp(20);
$holder->commit;
$h->standin->release;
$_->slurp(20) for values %slow, $long;
is $_->status, 200, 'a slow one is answered' for values %slow;
is $long->status, 200, 'and one that is long';
my $answer = $deaf->answer(20);
is $answer->{status}, 200, 'and one whose answer was not read for long';

my %id = (web => $answer->{headers}{'x-request-id'}, map { $_ => $slow{$_}->header('X-Request-Id') } keys %slow);
$h->ended_rows(1, request_id => $left->header('X-Request-Id'));
await { keys %id <= (() = slurp('slow') =~ /\n/g) };
my $entries = entries('slow');
is_deeply [sort keys %$entries], [sort values %id], 'the slow ones have an entry each, and nobody else' or diag(slurp('slow'), explain \%id);
is slurp('slow.1'), '', 'nobody writes to the file that was moved away';
unlike slurp('slow'), qr/\Q$_\E/, 'no text, no word, no key' for $SECRET, '<t=', $Wedding::EMAIL, $Harness::Standin::SECRET, $s->{key}, $h->{upstream_key};

# By one entry alone: the only one of these that is longer than the limit.
my %told = (
	provider => sub { $_[0]{steps}{generate} - $_[0]{sending_us} },
	database => sub { (max map { $_[0]{steps}{$_} // 0 } qw(authenticate idempotency admit settle)) - ($_[0]{same_answer_us} // 0) },
	web => sub { $_[0]{sending_us} },
	other => sub { $_[0]{same_answer_us} // 0 },
);
my %cause = (paused => 'provider', late => 'provider', provider => 'provider', maker => 'provider', same => 'other', database => 'database', web => 'web');
for my $name (sort keys %cause) {
	my $entry = $entries->{$id{$name}} // next;
	is join(' ', grep { $told{$_}->($entry) > $LIMIT_MS * 1000 } sort keys %told), $cause{$name}, "$name: where the time went" or diag explain $entry;
	is $entry->{endpoint}, 'generate-email-template', 'of which endpoint';
	is $entry->{supplier}, ($name eq 'database' ? $held : $s)->{id}, 'whose';
	is $entry->{status}, 200, 'with its status';
	is $entry->{upstream_status}, $name eq 'same' ? undef : 200, 'and the upstream\'s';
	is $entry->{model}, 'gpt-4o-mini', 'and the model';
	cmp_ok $entry->{wait_us}, '<=', $entry->{us}, 'the wait is a part of it all';
}
my %late = map { $_ => ($entries->{$id{$_}}{first_text_us} // 0) > $LIMIT_MS * 1000 } keys %cause;
is join(' ', grep { $late{$_} } sort keys %late), 'late maker provider', 'the first text came late where it did';

# A reload has other workers, which write elsewhere, of other requests, or of none.
sub reload {
	my (%to) = @_;
	my %old = map { $_ => 1 } $h->workers;
	$h->{settings} = {%settings, %to};
	$h->write_settings;
	$h->daemon->signal('HUP');
	return await { my @now = $h->workers; @now == 2 && !grep { $old{$_} } @now } 20;
}

my $before = slurp('slow');
ok reload(slowlog => "$logs/other", request_slowlog_timeout => '100ms'), 'a reload to another file and a shorter time';
my @many = map { $_->header('X-Request-Id') } $h->together(map { [$Wedding::EMAIL, email(directive('delay_ms=600')), key => $s->{key}] } 1 .. 40);
ok((await { @many == (() = slurp('other') =~ /\n/g) }), 'many at once, of all workers');
is_deeply [sort keys %{entries('other')}], [sort @many], 'have their entries there';
$before .= slurp('other');
ok reload(request_slowlog_timeout => 0), 'one to none';
is begin('delay_ms=600', $s)->slurp(20)->status, 200, 'who takes as long then';
$h->stop_daemon;
is slurp('slow') . slurp('other'), $before, 'leaves nothing';

done_testing;
