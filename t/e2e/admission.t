# Admission, settlement and sweep from many connections at once, against a PostgreSQL of its own: no limit is passed by one, no row ends twice, nobody
# deadlocks, and the audit finds everything equal, even while it all runs. Directly, and through PgBouncer in transaction mode where that is
# installed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Digest::SHA qw(sha256_hex);
use Cluster;
use Harness::Process qw(await);

my $workers = 16;
my $pg = Cluster->new(settings => { deadlock_timeout => '200ms' })->start->migrate;
my $dbh = $pg->dbh;

my $admit_sql = 'select verdict, fpm.ticket(id, created_us, lock_key) from fpm.admit_calls(array[row(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)::fpm.admit_call])';
my $settle_sql = 'select done, state from fpm.settle(?, ?, ?, ?, ?, ?, ?, ?, ?)';

sub supplier {
	my ($tier) = @_;
	my ($id) = $dbh->selectrow_array('select fpm.supplier_add(null, null, ?)', undef, $tier);
	$dbh->do('select fpm.key_create(?, ?, ?, ?)', undef, $id, sha256_hex($id), 'pfk_test', 'test');
	return $id;
}

# alone: not to wait for another call that makes the same answer.
sub admit {
	my ($db, $id, %with) = @_;
	my %call = (feature => 'email_template', rate => [0, 0, 0], max_tokens => 1000, content => undef, timeout => 60000, worker => "w$$", %with);
	return $db->selectrow_array($admit_sql, undef, sha256_hex($id), 'r', $call{feature}, '/e', 'openai', 'gpt-4o-mini', @{$call{rate}}, 1000, 250,
		$call{max_tokens}, $call{content}, $call{content} ? 'shared' : 'off', 3600, $call{timeout}, 0, $call{worker}, 0, $call{alone} ? '00000000-0000-4000-8000-000000000000' : undef);
}

# The same where nothing is expected to stand in its way: its ticket, or nothing.
sub admit_ready {
	my ($db, $id, %with) = @_;
	my ($new) = $db->selectrow_array('select gen_random_uuid()');
	my ($key, $lock) = $db->selectrow_array('select k.id, fpm.lock_key(k.supplier_id, ?) from fpm.api_keys k where k.supplier_id = ?', undef, 'email_template', $id);
	my ($created) = $db->selectrow_array('select created_us from fpm.admit_ready(array[row(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, fpm.cache_key(?, null, ?), ?, null, ?, ?, ?, ?, 1)::fpm.ready_call])',
		undef, $new, $lock, $key, 'r', 'email_template', '/e', 'openai', 'gpt-4o-mini', 1000, 250, 1000, 'shared', $with{content}, $with{content} && 'shared', 3600, 60000, "w$$", 0);
	return $created && "$new.$created.$lock";
}

sub settle {
	my ($db, $ticket, $state, $prompt, $completion, $content) = @_;
	return $db->selectrow_array($settle_sql, undef, $ticket, $state // 'settled', $prompt // 100, 0, $completion // 50, 0, 1, undef, $content);
}

# Runs the code in so many processes, each with a connection of its own, all let go at once. Returns the lines they reported, and fails on any error.
sub at_once {
	my ($count, $code, $dsn) = @_;
	pipe(my $gate, my $open) or die "pipe: $!";
	pipe(my $read, my $write) or die "pipe: $!";
	my @pids;
	for my $n (0 .. $count - 1) {
		my $pid = fork // die "fork: $!";
		if ($pid) {
			push @pids, $pid;
			next;
		}
		close $open;
		close $read;
		srand($n + 1);
		my @said = eval {
			my $db = $dsn ? DBI->connect($dsn, undef, undef, { RaiseError => 1, PrintError => 0, pg_server_prepare => 0 }) : $pg->dbh;
			sysread $gate, my $nothing, 1;
			my @out = $code->($db, $n);
			$db->disconnect;
			@out;
		};
		@said = ("error: $@" =~ tr/\n/ /r) if $@;
		syswrite $write, join '', map { "$_\n" } @said;
		require POSIX;
		POSIX::_exit(0);
	}
	close $gate;
	close $write;
	close $open;
	my @lines = <$read>;
	waitpid $_, 0 for @pids;
	chomp @lines;
	my @errors = grep { /^error: / } @lines;
	is($errors[0] // '', '', 'nobody met an error');
	return @lines;
}

# Begins the code in a process and with a connection of its own. Returns the connection's server process, and what waits for the end and returns what was said.
sub meanwhile {
	my ($code) = @_;
	pipe(my $read, my $write) or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		my $db = $pg->dbh;
		syswrite $write, "$db->{pg_pid}\n";
		my $said = eval { join ' ', $code->($db) } // "error: $@";
		syswrite $write, $said;
		$db->disconnect;
		require POSIX;
		POSIX::_exit(0);
	}
	close $write;
	chomp(my $server = <$read>);
	return ($server, sub {
		my $said = <$read>;
		waitpid $pid, 0;
		return $said;
	});
}

# Returns when the one server process waits for the other.
sub await_wait {
	my ($waits, $holds) = @_;
	ok(await(sub { $dbh->selectrow_array('select ?::int = any (pg_blocking_pids(?::int))', undef, $holds, $waits) }, 30), 'one waits for another');
}

sub count_of {
	my ($what, @lines) = @_;
	return scalar grep { $_ eq $what } @lines;
}

sub audit_is_clean {
	my ($name) = @_;
	my $rows = $dbh->selectall_arrayref('select * from fpm.audit()');
	is_deeply($rows, [], $name);
}

sub last_places {
	my ($way, $dsn, $seed) = @_;
	$dbh->do(q{insert into public.ai_usage_limits (tier_name, feature_type, monthly_limit, daily_limit, cost_limit_cents)
		values ('last50', 'email_template', 53, -1, -1), ('lastcent', 'email_template', -1, -1, 3.975) on conflict do nothing});
	for my $tier (qw(last50 lastcent)) {
		my $id = supplier($tier);
		admit($dbh, $id) for 1 .. 3;
		my @verdicts = at_once($workers, sub {
			my ($db, $n) = @_;
			srand($seed * 100 + $n);
			return map { select undef, undef, undef, rand 0.002; (admit($db, $id))[0] } 1 .. 1000 / $workers + 1;
		}, $dsn);
		cmp_ok(scalar @verdicts, '>=', 1000, "$way, seed $seed, $tier: a thousand calls");
		is(count_of('admitted', @verdicts), 50, 'exactly fifty get through');
		my ($month, $reserved) = $dbh->selectrow_array('select month_count, trim_scale(reserved) from fpm.counters where supplier_id = ?', undef, $id);
		is("$month $reserved", '53 3.975', 'as the counter has it, to the last fraction');
	}
}

# Half of the calls go the one way, half the other.
sub last_places_both_ways {
	my $id = supplier('last50');
	admit($dbh, $id) for 1 .. 3;
	my @verdicts = at_once($workers, sub {
		my ($db, $n) = @_;
		return map { ($_ + $n) % 2 ? (admit($db, $id))[0] eq 'admitted' ? 'decided' : 'refused' : admit_ready($db, $id) ? 'ready' : 'not ready' } 1 .. 1000 / $workers + 1;
	});
	my ($decided, $ready) = map { count_of($_, @verdicts) } qw(decided ready);
	is($decided + $ready, 50, 'exactly fifty get through, decided and ready ones together');
	cmp_ok($ready, '>', 0, 'some of them ready');
	my ($month) = $dbh->selectrow_array('select month_count from fpm.counters where supplier_id = ?', undef, $id);
	is($month, 53, 'as the counter has it');
}

last_places('directly', undef, $_) for 1 .. 3;
last_places_both_ways();
audit_is_clean('all is equal');

SKIP: {
	skip 'pgbouncer is not installed', 1 unless $pg->pool;
	last_places('through PgBouncer', $pg->dsn =~ s/port=5432/port=6432/r, 1);
	$pg->stop_pool;
}

subtest 'a rate of five an hour' => sub {
	my $id = supplier('enterprise');
	my @verdicts = at_once($workers, sub {
		my ($db) = @_;
		return map { (admit($db, $id, rate => [5, 3600, 0]))[0] } 1 .. 20;
	});
	is(count_of('admitted', @verdicts), 5, 'lets five of 320 through');
	is(count_of('rate_limit', @verdicts), 315, 'and refuses the rest');
};

subtest 'many settle the same calls' => sub {
	my $id = supplier('enterprise');
	my @tickets = map { (admit($dbh, $id))[1] } 1 .. 60;
	my @states = qw(settled failed aborted void);
	my @done = at_once($workers, sub {
		my ($db, $n) = @_;
		return map { "$_->[1]" } grep { $_->[0] } map { [settle($db, $_, $states[$n % 4])] } @tickets;
	});
	is(scalar @done, 60, 'each ends once');
	my ($reserved) = $dbh->selectrow_array('select trim_scale(reserved) from fpm.counters where supplier_id = ?', undef, $id);
	is($reserved, '0', 'and nothing is held any more');
	audit_is_clean('all is equal');
};

subtest 'settlements and sweeps race for the same calls' => sub {
	my @ids = map { supplier('enterprise') } 1 .. 5;
	my @tickets = map { (admit($dbh, $ids[$_ % 5], timeout => 0, worker => $_ % 2 ? 'dead' : 'slow'))[1] } 1 .. 400;
	my @ends = at_once(8, sub {
		my ($db, $n) = @_;
		if ($n < 4) {
			return map { 'ended ' . ($db->selectrow_array('select expired from fpm.sweep(?)', undef, $n % 2 ? 'dead' : undef))[0] } 1 .. 10;
		}
		return map { (settle($db, $_))[0] ? 'ended 1' : () } sort { rand() <=> 0.5 } @tickets;
	});
	my $ended = 0;
	$ended += (split)[1] for @ends;
	is($ended, 400, 'each ends once');
	audit_is_clean('all is equal');
};

# As a process of the daemon does it: many calls of many suppliers share a transaction, in the order of their lock keys; among them hits on and
# fillings of the same cache entries, while the janitors of several machines sweep, refusals are counted, and somebody audits.
subtest 'transactions of many calls' => sub {
	my @ids = map { supplier('enterprise') } 1 .. 12;
	my %key;
	for my $id (@ids) {
		$key{$id}{$_} = $dbh->selectrow_array('select fpm.lock_key(?, ?)', undef, $id, $_) for qw(email_template chatbot);
	}
	my @contents = map { sha256_hex("content $_") } 1 .. 4;
	my @lines = at_once(12, sub {
		my ($db, $n) = @_;
		if ($n == 0) {
			return map { map { "found @$_" } @{$db->selectall_arrayref('select check_name, subject from fpm.audit()')} } 1 .. 15;
		}
		if ($n < 4) {
			for (1 .. 60) {
				$db->do('select fpm.sweep(null)');
				$db->do('select fpm.count_refusals(?)', undef, sprintf '[{"supplier": "%s", "feature": "f", "reason": "r", "count": 1}, '
					. '{"supplier": null, "feature": "f", "reason": "r", "count": 1}]', $ids[rand @ids]);
				$db->do(q{update public.ai_response_cache set expires_at = now() where id in (
					select id from public.ai_response_cache limit 1 for update skip locked)}) if $_ % 7 == 0;
			}
			return;
		}
		my (@open, @said);
		for my $round (1 .. 25) {
			my @calls = map { my $id = $ids[rand @ids]; my $feature = rand() < 0.5 ? 'email_template' : 'chatbot';
				{ id => $id, feature => $feature, key => $key{$id}{$feature}, content => rand() < 0.5 ? $contents[rand @contents] : undef } } 1 .. 12;
			my @batch = sort { $a->{key} <=> $b->{key} } @calls, @open;
			@open = ();
			$db->begin_work;
			for my $call (@batch) {
				if ($call->{ticket}) {
					my ($done) = settle($db, $call->{ticket}, (qw(settled settled settled failed aborted void))[rand 6], int rand 1000, int rand 900, "answer $$");
					push @said, $done ? 'settled' : 'not settled';
					next;
				}
				my ($verdict, $ticket) = admit($db, $call->{id}, feature => $call->{feature}, content => $call->{content}, timeout => 60000);
				push @said, $verdict;
				push @open, { key => $call->{key}, ticket => $ticket } if $verdict eq 'admitted';
			}
			$db->commit;
		}
		settle($db, $_->{ticket}) for @open;
		return @said;
	});
	is(count_of('admitted', @lines) + count_of('cached', @lines) + count_of('in_flight', @lines) + count_of('again', @lines), 8 * 25 * 12, 'all were answered');
	cmp_ok(count_of('cached', @lines), '>', 0, 'some from the cache');
	is(count_of('not settled', @lines), 0, 'every one settled');
	is_deeply([grep { /^found/ } @lines], [], 'the audit found nothing while it ran');
	audit_is_clean('nor afterwards');
	my ($rows) = $dbh->selectrow_array('select count(*) from fpm.ai_usage_open where supplier_id = any (?)', undef, \@ids);
	is($rows, 0, 'nothing is open');
	my ($refused) = $dbh->selectrow_array('select sum(count) from fpm.refusals');
	is($refused, 3 * 60 * 2, 'every refusal is counted');
};

# What the order of lock keys cannot order must not be waited for. One connection leaves its transaction open over a cache entry, another comes upon
# it.
subtest 'no call waits for a cache entry' => sub {
	my @ids = map { supplier('enterprise') } 1 .. 4;
	my ($known, $new) = map { sha256_hex($_) } qw(known new);
	my @open = map { [(admit($dbh, $ids[$_], content => $known, alone => 1))[1], (admit($dbh, $ids[$_], content => $new, alone => 1))[1]] } 0 .. 3;
	settle($dbh, $open[0][0], 'settled', 1, 1, 'an answer');

	my ($one, $two) = map { $pg->dbh } 1 .. 2;
	$two->do(q{set statement_timeout = '2s'});
	$one->begin_work;
	is((admit($one, $ids[0], content => $known))[0], 'cached', 'a hit that is not committed');
	is((settle($one, $open[0][1], 'settled', 1, 1, 'a new answer'))[0], 1, 'and an answer that is not');
	is((admit($two, $ids[1], content => $known))[0], 'cached', 'another hit does not wait');
	is((settle($two, $open[1][0], 'settled', 1, 1, 'an answer'))[0], 1, 'nor does who has the same answer');
	is((settle($two, $open[1][1], 'settled', 1, 1, 'a new answer'))[0], 1, 'nor who has the same new one');
	$dbh->do('update public.ai_models set cost_per_input_token = cost_per_input_token');
	is((admit($two, $ids[2], content => sha256_hex('other')))[0], 'admitted', 'nor an admission');
	ok(eval { $two->do('select fpm.sweep(null)') }, 'nor a sweep');
	$one->commit;
	$two->do('select fpm.sweep(null)');
	my ($hits) = $dbh->selectrow_array('select cache_hits from public.ai_response_cache where prompt_hash = fpm.cache_key(?, null, ?)', undef,
		'shared', $known);
	is($hits, 2, 'and no hit is lost');

	$dbh->do('update public.ai_response_cache set expires_at = clock_timestamp() where prompt_hash = fpm.cache_key(?, null, ?)', undef, 'shared',
		$known);
	$one->begin_work;
	$one->do('select fpm.sweep(null)');
	is((settle($two, $open[2][0], 'settled', 1, 1, 'an answer'))[0], 1, 'nor who stores what is being swept');
	$one->commit;
	my ($late) = (admit($dbh, $ids[3], timeout => 0))[1];
	my ($open) = (admit($dbh, $ids[3]))[1];
	$dbh->do('select fpm.sweep(null)');
	$one->begin_work;
	$one->do('delete from public.user_profiles where id = ?', undef, $ids[3]);
	is((admit($two, $ids[3]))[0], 'busy', 'nor who calls while its supplier is deleted');
	is(admit_ready($two, $ids[3]), undef, 'nor where it is expected to be ready');
	is(eval { $two->selectrow_array(q{select verdict from fpm.idempotency_claim(?, repeat('0', 64), 'f', 'r', 'w', 1000, 0, 60000)}, undef, sha256_hex($ids[3])) },
		'busy', 'nor who claims an idempotency key');
	is_deeply([settle($two, $open)], [0, 'reserved'], 'nor who settles, who is to try again');
	is_deeply([eval { settle($two, $late) }], [undef, 'expired'], 'nor who settles late');
	$one->rollback;
	is_deeply([settle($two, $open)], [1, 'settled'], 'which then is done');
	is_deeply([settle($two, $late)], [0, 'expired'], 'both ways');
	is($dbh->selectrow_array('select count(*) from public.ai_usage_tracking where corrects = left(?, 36)::uuid', undef, $late), 1, 'by a correction');
	is((admit($two, $ids[3]))[0], 'admitted', 'who then was not');
	ok(admit_ready($two, $ids[3]), 'and is ready again');

	my $making = sha256_hex('being made');
	$one->begin_work;
	ok(admit_ready($one, $ids[2], content => $making), 'an answer that is begun, and not committed');
	is(admit_ready($two, $ids[3], content => $making), undef, 'nobody waits to hear of it');
	is((admit($two, $ids[3], content => $making))[0], 'in_flight', 'but is told of it');
	$one->commit;
	is(admit_ready($two, $ids[3], content => $making), undef, 'nor goes ahead when it is committed');
	$one->begin_work;
	is((admit($one, $ids[2], content => sha256_hex('another')))[0], 'admitted', 'another that is begun');
	is(admit_ready($two, $ids[3], content => sha256_hex('another')), undef, 'whichever way it was admitted');
	$one->commit;
	$_->disconnect for $one, $two;
};

# What was there at the first look may be gone when the lock is had.
subtest 'an answer that goes while a call waits for its lock' => sub {
	my ($id) = supplier('enterprise');
	my $content = sha256_hex('to be swept');
	settle($dbh, (admit($dbh, $id, content => $content))[1], 'settled', 1, 1, 'an answer');
	is((admit($dbh, $id, content => $content))[0], 'cached', 'it is there');
	my $holder = $pg->dbh;
	$holder->begin_work;
	$holder->do(q{select pg_advisory_xact_lock(fpm.lock_key(?, 'email_template'))}, undef, $id);
	my ($server, $end) = meanwhile(sub { (admit($_[0], $id, content => $content))[0] });
	await_wait($server, $holder->{pg_pid});
	$dbh->do(q{delete from public.ai_response_cache where prompt_hash = fpm.cache_key('shared', null, ?)}, undef, $content);
	$holder->commit;
	is($end->(), 'again', 'it is not answered with nothing, but to be asked for again');
	is_deeply($dbh->selectrow_arrayref('select day_count, month_count from fpm.counters where supplier_id = ?', undef, $id), [2, 2], 'and took no place');
	is((admit($dbh, $id, content => $content))[0], 'admitted', 'and then the answer is made');
	$holder->disconnect;
	audit_is_clean('all is equal');
};

# The one thing that a settlement can wait for besides advisory locks: it looked when there was no entry, somebody made it since, and a third is counting a hit on it. That one
# is at the end of its transaction, and waits for nobody.
subtest 'an entry that is made and hit between the look of a settlement and its own' => sub {
	my @ids = map { supplier('enterprise') } 1 .. 3;
	my $content = sha256_hex('made meanwhile');
	my ($first, $second) = map { (admit($dbh, $_, content => $content, alone => 1))[1] } @ids[0, 1];
	my ($holder, $hit) = map { $pg->dbh } 1 .. 2;
	$holder->begin_work;
	$holder->do('select from fpm.ai_usage_open where supplier_id = ? for update', undef, $ids[0]); # as a sweep does for a moment: it stops the settlement in its middle
	my ($server, $end) = meanwhile(sub { settle($_[0], $first, 'settled', 1, 1, 'the first') });
	await_wait($server, $holder->{pg_pid});
	is((settle($dbh, $second, 'settled', 1, 1, 'the second'))[0], 1, 'another makes the entry');
	$hit->begin_work;
	is((admit($hit, $ids[2], content => $content))[0], 'cached', 'and a third hits it');
	$holder->commit;
	await_wait($server, $hit->{pg_pid});
	is_deeply($dbh->selectcol_arrayref('select unnest(pg_blocking_pids(?))', undef, $hit->{pg_pid}), [], 'for whom the settlement waits, who waits for nobody');
	$hit->commit;
	is($end->(), '1 settled', 'then it is done');
	is_deeply($dbh->selectrow_arrayref(q{select response_content, cache_hits from public.ai_response_cache where prompt_hash = fpm.cache_key('shared', null, ?)}, undef, $content),
		['the second', 1], 'the entry is as it was made, with its hit');
	$_->disconnect for $holder, $hit;
	audit_is_clean('all is equal');
};

subtest 'more than a sweep takes at once, of a supplier that is being deleted' => sub {
	my ($gone, $stays) = map { supplier('enterprise') } 1, 2;
	my $calls = q{select count(a.verdict) from generate_series(1, ?::int) i,
		fpm.admit(?, 'r' || i, 'email_template', '/e', 'openai', 'gpt-4o-mini', 0, 0, 0, 1000, 250, 1000, null, 'off', 0, 0, 0, 'w', false) a};
	$dbh->do($calls, undef, 1001, sha256_hex($gone));
	$dbh->do($calls, undef, 3, sha256_hex($stays));
	my $deletes = $pg->dbh;
	$deletes->begin_work;
	$deletes->do('delete from public.user_profiles where id = ?', undef, $gone);
	is($dbh->selectrow_array('select expired from fpm.sweep(null)'), 3, 'the others are swept');
	$deletes->commit;
	$deletes->disconnect;
	is($dbh->selectrow_array('select expired from fpm.sweep(null)'), 0, 'and nothing is left of it');
	audit_is_clean('all is equal');
};

# A month that began without a partition, because no sweep was there to make it, is given one while calls go on.
subtest 'a partition that is made while calls end' => sub {
	my ($id) = supplier('enterprise');
	my @calls = map { (admit($dbh, $id, content => sha256_hex("partition $_")))[1] } 1 .. 2;
	my ($month) = $dbh->selectrow_array(q{select to_char(now() at time zone 'UTC', '"fpm.ai_usage_tracking_"YYYY_MM')});
	$dbh->do("begin; create temp table moving as select * from $month; drop table $month; insert into fpm.ai_usage_ended select * from moving; drop table moving; commit");
	is((settle($dbh, $calls[0], 'settled', 1, 1, 'kept'))[0], 1, 'without it');
	my $making = $pg->dbh;
	$making->begin_work;
	is($making->selectrow_array('select fpm.create_partitions()'), 1, 'it is being made');
	my ($settles, $settled) = meanwhile(sub { settle($_[0], $calls[1]) });
	my ($hits, $hit) = meanwhile(sub { (admit($_[0], $id, feature => 'chatbot', content => sha256_hex('partition 1')))[0] });
	await_wait($settles, $making->{pg_pid});
	await_wait($hits, $making->{pg_pid});
	$making->commit;
	$making->disconnect;
	is($settled->(), '1 settled', 'a settlement goes into it');
	is($hit->(), 'cached', 'and a hit');
	is($dbh->selectrow_array('select count(*) from fpm.ai_usage_tracking_default'), 0, 'where all rows are');
	audit_is_clean('all is equal');
};

subtest 'a month that two archive at once' => sub {
	my $id = supplier('enterprise');
	$dbh->do(q{insert into public.ai_usage_tracking (supplier_id, feature_type, model_used, success, created_at) values (?, 'f', 'm', true, '2020-02-29 12:00+00')}, undef, $id);
	is($dbh->selectrow_array('select fpm.create_partitions()'), 1, 'a month that is over');
	my $one = $pg->dbh;
	$one->begin_work;
	is($one->selectrow_array(q{select fpm.ledger_archive('2020-02-01')}), 'fpm.ai_usage_tracking_2020_02', 'one does it');
	my ($other, $end) = meanwhile(sub { ($_[0]->selectrow_array(q{select fpm.ledger_archive('2020-02-01')}))[0] // 'null' });
	await_wait($other, $one->{pg_pid});
	$one->commit;
	$one->disconnect;
	is($end->(), 'null', 'the other finds it done');
	$dbh->do('delete from public.user_profiles where id = ?', undef, $id);
	$dbh->do('drop table fpm.ai_usage_tracking_2020_02');
	$dbh->do('delete from fpm.archived_months');
};

subtest 'a crash of the database' => sub {
	my $id = supplier('enterprise');
	my @tickets = map { (admit($dbh, $id))[1] } 1 .. 20;
	settle($dbh, $_) for @tickets[0 .. 9];
	$dbh->disconnect;
	$pg->stop('immediate')->start;
	$dbh = $pg->dbh;
	my ($open) = $dbh->selectrow_array(q{select count(*) from public.ai_usage_tracking where supplier_id = ? and state = 'reserved'}, undef, $id);
	is($open, 10, 'every reservation that was answered is there');
	my ($ended) = $dbh->selectrow_array('select expired from fpm.sweep(?)', undef, "w$$");
	cmp_ok($ended, '>=', 10, 'the sweep of its worker ends them');
	audit_is_clean('all is equal');
};

$dbh->disconnect;
done_testing();
