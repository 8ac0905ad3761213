# promptctl's books: models and prices, usage of all, invoices that add up to the ledger, refusals, corrections, archived months, and an audit that finds each
# thing that is wrong.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;

my $h = Harness->new(start => 0, web => undef, standin => 0);
$h->start_database;
my ($ann, $ben) = map { $h->supplier('enterprise') } 1, 2;
my $json = JSON::PP->new->utf8->allow_bignum;
my ($status, $out, $err);

sub ctl { ($status, $out, $err) = $h->ctl(@_); return $status }

# One call through the ledger, of a supplier's key; the row's id.
sub call {
	my ($who, @with) = @_;
	my %with = (model => 'gpt-4o-mini', feature => 'email_template', state => 'settled', prompt => 100, cached => 0, completion => 50,
		request => 'req_of_books', @with);
	my $ticket = $h->value("select ticket from fpm.admit(encode(sha256(?), 'hex'), ?, ?, 'e', ?, ?, 0, 0, 0, 1000000, 800, 1000000, null, 'off', 0, 60000,"
		. " 60000, 'books.t', false)", $who->{key}, @with{qw(request feature)}, $with{model} =~ /claude/ ? 'anthropic' : 'openai', $with{model})
		// return undef;
	$h->value("select done from fpm.settle(?, ?, ?, ?, ?, false, 1200, null, null)", $ticket, @with{qw(state prompt cached completion)}) unless $with{open};
	return substr $ticket, 0, 36;
}

sub csv { return map { [split /,/, $_, -1] } split /\r\n/, $_[0] }

my $month = $h->value("select to_char(now() at time zone 'UTC', 'YYYY-MM')");

subtest 'model' => sub {
	is ctl('model', 'list'), 0, 'list';
	like $out, qr{^openai/gpt-4o-mini +yes +0\.15 +0\.075 +0\.6 +128000  yes$}m, 'with prices for a million tokens';
	my @nano = ('model', 'add', 'openai/nano', '--input', '0.05', '--output', '0.4');
	is ctl(@nano, '--cached', '0.005', '--context', '4000', '--no-streams'), 0, 'add' or diag $err;
	is_deeply [$h->dbh->selectrow_array("select cost_per_input_token::text, cost_per_cached_token::text, cost_per_output_token::text, max_tokens, supports_streaming,
		is_active from ai_models where model_name = 'nano'")], ['0.00000005', '0.000000005', '0.0000004', 4000, 0, 1], 'to the last digit';
	ok call($ann, model => 'nano'), 'it is admitted';
	is ctl(@nano), 1, 'a second time';
	like $err, qr{^promptctl: openai/nano is there already: promptctl model price}, 'it is there';
	is $h->value("select count(*) from fpm.model_prices where model_name = 'nano'"), 1, 'with one price';
	my $old = call($ann, model => 'nano', open => 1);
	is ctl('model', 'price', 'openai/nano', '--input', '1', '--output', '2'), 0, 'price';
	my $new = call($ann, model => 'nano', prompt => 1_000_000, completion => 500_000);
	is $h->value('select trim_scale(cost_cents) from ai_usage_tracking where id = ?', $new), '200', 'holds from the next request on';
	is $h->value('select trim_scale(m.price_output) from ai_usage_tracking t join fpm.model_prices m on m.id = t.price_id where t.id = ?', $old), '0.0000004',
		'what was admitted before keeps the old one';
	is $h->value("select count(*) from fpm.model_prices where model_name = 'nano'"), 2, 'and both are known';
	is ctl('model', 'disable', 'openai/nano'), 0, 'disable';
	is call($ann, model => 'nano'), undef, 'it is refused';
	ctl('model', 'list', '--json');
	is((grep { $_->{model} eq 'openai/nano' } @{$json->decode($out)})[0]{active}, 'no', 'and listed so');
	is ctl('model', 'enable', 'openai/nano'), 0, 'enable';
	ok call($ann, model => 'nano'), 'it is taken again';
	is ctl('model', $_->[0], 'openai/unknown', @$_[1 .. $#$_]), 1, "$_->[0] of one that is not there" for ['price', '--input', 1, '--output', 1], ['disable'], ['enable'];
	is ctl('model', 'disable', 'anthropic/nano'), 1, 'nor is it another provider\'s';
	is ctl('model', 'add', $_, '--input', 1, '--output', 1), 2, "no model: $_" for 'nano', '/nano', 'openai/';
	is ctl('model', 'add', 'nobody/nano2', '--input', 1, '--output', 1), 2, 'a provider that does not exist';
	is ctl('model', 'add', 'openai/nano2', '--input', 1), 2, 'half a price';
	for (['-1', 1], [1, 'cheap'], ['0.0000001', 1], ['1000000', 1]) {
		is ctl('model', 'add', 'openai/nano2', "--input=$_->[0]", "--output=$_->[1]"), 2, "no prices: @$_";
	}
	for my $context ('0', '-5', '2147483648', 'many', '4k', '') {
		is ctl('model', 'add', 'openai/nano2', '--input', 1, '--output', 1, "--context=$context"), 2, "no context: \"$context\"";
		like $err, qr/^promptctl: --context is a whole number of tokens/, 'which is said';
	}
	ok !eval { local $h->dbh->{PrintError} = 0; $h->value("select fpm.model_add('openai', 'nano2', 1, 1, 1, $_, true)"); 1 }, "nor by the function: $_" for 0, -5;
	is $h->value("select count(*) from ai_models where model_name = 'nano2'"), 0, 'and none of them made a model';
};

subtest 'usage and invoice' => sub {
	call($_, state => 'settled', prompt => 7, completion => 11) for ($ann) x 3, $ben;
	call($ann, state => 'failed', prompt => 5, completion => 0);
	call($ann, state => 'aborted', prompt => 3, cached => 2, completion => 1);
	call($ann, model => 'claude-haiku-4-5', feature => 'chatbot', prompt => 1, completion => 1);
	call($ben, state => 'void');
	my $open = call($ben, open => 1);

	is ctl('usage', '--csv'), 0, 'usage of all';
	my ($names, @lines) = csv($out);
	my %at = map { $names->[$_] => $_ } 0 .. $#$names;
	is_deeply [sort keys %{{map { $_->[$at{supplier}] => 1 } @lines}}], [sort $ann->{id}, $ben->{id}], 'has everybody\'s';
	my $total = '0';
	$total = $h->value('select ?::numeric + ?::numeric', $total, $_->[$at{cost_cents}]) for @lines;
	is $total, $h->value('select trim_scale(sum(cost_cents)) from ai_usage_tracking'), 'and adds up to the ledger';

	for my $form (['--csv'], ['--format', 'csv']) {
		is ctl('invoice', '--month', $month, @$form), 0, "invoice @$form";
		like $err, qr/the month is not over/, 'says that the month is not over';
		my ($head, @items) = csv($out);
		is join(',', @$head), 'month,supplier,organization,feature,model,requests,cached,failed,estimated,corrections,prompt_tokens,cached_tokens,completion_tokens,cost_cents',
			'its columns';
		for my $item (@items) {
			my %item;
			@item{@$head} = @$item;
			my $ledger = $h->dbh->selectrow_hashref("select count(*) as requests, count(*) filter (where state = 'failed') as failed, sum(prompt_tokens) as prompt_tokens,
				sum(cached_tokens) as cached_tokens, sum(completion_tokens) as completion_tokens, trim_scale(sum(cost_cents)) as cost_cents
				from ai_usage_tracking where supplier_id = ? and feature_type = ? and model_used = ? and state not in ('reserved', 'correction')", undef, @item{qw(supplier feature model)});
			is_deeply {map { $_ => $item{$_} } keys %$ledger}, $ledger, "an item is the ledger's: $item{feature} $item{model}";
		}
	}
	is ctl('invoice', '--month', $month, '--supplier', $ben->{id}, '--format', 'json'), 0, 'of one supplier, as JSON';
	my @items = @{$json->decode($out)};
	is scalar @items, 1, 'one item';
	is "$items[0]{supplier} $items[0]{requests} $items[0]{failed} $items[0]{cost_cents}", "$ben->{id} 2 1 0.000765", 'with numbers as numbers, exact';
	is ctl('invoice', '--month', $month), 0, 'for people';
	my $sum = $h->value("select trim_scale(sum(cost_cents)) from ai_usage_tracking where state <> 'reserved'");
	like $out, qr/^total .* \Q$sum\E$/m, 'with a total';
	is ctl('invoice', '--month', '2020-01', '--json'), 0, 'a month of long ago';
	is_deeply [$json->decode($out), $err], [[], ''], 'is empty, and over';
	is ctl('invoice'), 2, 'no month';
	is ctl('invoice', '--month', $_), 2, "no month: $_" for '2026', '2026-13', '2026-00', '2026-1', '2026-01-01', 'x', '';
	is ctl('invoice', '--month', $month, '--format', 'xml'), 2, 'no form';
	like $err, qr/^promptctl: --format must be json, csv or text\nusage: /, 'is said';
	is ctl('invoice', '--month', $month, '--supplier', 'x'), 2, 'no supplier';
	$h->value("select done from fpm.settle((select fpm.ticket(r.id, (extract(epoch from r.created_at) * 1000000)::bigint, fpm.lock_key(r.supplier_id, r.feature_type)) from fpm.ai_usage_open r where r.id = ?),
		'void', 0, 0, 0, false, 0, null, null)", $open);
};

subtest 'refused' => sub {
	$h->value('select fpm.count_refusals(?)', encode_json([{supplier => $ann->{id}, feature => 'chatbot', reason => 'daily_limit', count => 7},
		{supplier => undef, feature => '', reason => 'unauthenticated', count => 2}]));
	is ctl('refused', '--csv'), 0, 'of all';
	my $today = $h->value("select (now() at time zone 'UTC')::date");
	is $out, "day,supplier,feature,reason,count\r\n$today,$ann->{id},chatbot,daily_limit,7\r\n$today,,,unauthenticated,2\r\n", 'and of nobody known';
	is ctl('refused', $ann->{id}, '--json'), 0, 'of one';
	is_deeply [map { $_->{count} } @{$json->decode($out)}], [7], 'is what was refused to it';
	is ctl('refused', $ben->{id}, '--format=json'), 0, 'of another';
	is_deeply $json->decode($out), [], 'is nothing';
	is ctl('refused', '--to', '2020-01-01', '--csv'), 0, 'of another time';
	is $out, "day,supplier,feature,reason,count\r\n", 'too';
	is ctl('refused', '--from', 'x'), 2, 'no day';
};

subtest 'correct' => sub {
	my $row = call($ann, prompt => 1000, completion => 1000, request => 'req_to_correct');
	my $sums = sub { return join ' ', map { $h->value($_) } "select trim_scale(sum(cost_cents)) from ai_usage_tracking", "select trim_scale(sum(cost_cents)) from fpm.usage_daily" };
	my $before = $h->value('select sum(cost_cents) from ai_usage_tracking');
	is ctl('correct', $row, '--completion-tokens', 500, '--reason', 'the provider counted twice'), 0, 'by the row\'s id' or diag $err;
	is $out, "-0.03\n", 'the difference, exactly';
	is ctl('correct', 'req_to_correct', '--completion-tokens', 500, '--reason', 'again'), 0, 'by the request\'s id, the same';
	is $out, "0\n", 'is no difference any more';
	is ctl('correct', 'req_to_correct', '--prompt-tokens', 2000, '--cached-tokens', 1000, '--reason', 'more'), 0, 'what is not given stays';
	is $out, "0.0075\n", 'as it stands';
	is $h->value('select trim_scale(sum(cost_cents) - ?::numeric) from ai_usage_tracking', $before), '-0.0225', 'the ledger has both';
	like $sums->(), qr/^(\S+) \1$/, 'and so have the sums';
	is $h->value("select string_agg(error_message, ', ' order by created_at) from ai_usage_tracking where corrects = ?", $row), 'the provider counted twice, more', 'with their reasons';
	is ctl('invoice', '--month', $month, '--supplier', $ann->{id}, '--json'), 0, 'the invoice';
	is((grep { $_->{model} eq 'gpt-4o-mini' } @{$json->decode($out)})[0]{corrections}, 2, 'counts them');
	is ctl('correct', 'req_nobody', '--prompt-tokens', 1, '--reason', 'x'), 1, 'a call that is not there';
	like $err, qr/^promptctl: there is no call req_nobody$/, 'is said';
	is ctl('correct', 'req_of_books', '--prompt-tokens', 1, '--reason', 'x'), 1, 'an id that several have';
	like $err, qr/names more than one call/, 'is said';
	my $open = call($ann, open => 1);
	is ctl('correct', $open, '--prompt-tokens', 1, '--reason', 'x'), 1, 'a call that is open';
	like $err, qr/nothing to correct: it is still open/, 'is said';
	is ctl('correct', @$_), 2, "wrong use: @$_" for [$row, '--prompt-tokens', 1], [$row, '--reason', 'x'], [$row, '--reason', 'x', '--prompt-tokens', 'many'],
		[$row, '--reason', 'x', '--prompt-tokens=-1'], ['--reason', 'x'];
};

subtest 'ledger archive' => sub {
	is ctl('ledger', 'archive', $month), 1, 'the month that runs';
	like $err, qr/^promptctl: $month stays: it is not over/, 'stays';
	is ctl('ledger', 'archive', '2020-01'), 1, 'as one that there never was';
	is ctl('ledger', 'archive', 'x'), 2, 'no month';
	# A month that is over, as the calls of its time would have left it.
	$h->dbh->do("create table fpm.ai_usage_tracking_2025_02 partition of fpm.ai_usage_ended for values from ('2025-02-01Z') to ('2025-03-01Z')");
	$h->dbh->do("insert into ai_usage_tracking (created_at, supplier_id, feature_type, model_used, state, success, cost_cents) values ('2025-02-10Z', ?, 'f', 'm', 'settled', true, 1.5)",
		undef, $ann->{id});
	$h->dbh->do("insert into fpm.usage_daily (supplier_id, day, feature_type, model_used, requests, cost_cents) values (?, '2025-02-10', 'f', 'm', 1, 1.5)", undef, $ann->{id});
	$h->dbh->do("insert into fpm.counters values (?, 'f', '2025-02-10', 1, '2025-02-01', 1, 1.5, 0)", undef, $ann->{id});
	$h->dbh->do('alter table fpm.ai_usage_tracking_2025_02 owner to fpm_owner');
	is ctl('ledger', 'archive', '2025-02'), 0, 'a month that is over' or diag $err;
	is $out, "fpm.ai_usage_tracking_2025_02\n", 'leaves, as a table that is named';
	is $h->value('select count(*) from fpm.ai_usage_tracking_2025_02'), 1, 'with its rows';
	is $h->value("select count(*) from ai_usage_tracking where created_at < '2026-01-01Z'"), 0, 'which are not in the ledger any more';
	is ctl('ledger', 'archive', '2025-02'), 1, 'once';
	is ctl('invoice', '--month', '2025-02', '--json'), 0, 'its invoice';
	is $json->decode($out)->[0]{cost_cents}, 1.5, 'is what it was';
};

# Each thing that can be wrong, made so by hand, is found, named, and said by the status; in the period it is of, and in no other.
subtest 'audit' => sub {
	is ctl('audit'), 0, 'all is equal' or diag $out;
	$h->dbh->do('create table kept as select * from ai_usage_tracking');
	my $key = "insert into fpm.idempotency_keys (supplier_id, key_digest, fingerprint, request_id, claimed_at, lease_until, expires_at, row_id, row_created_at)
		select t.supplier_id, repeat('a', 64), 'f', 'req_other', now() - interval '1 day', now(), now() + ?::interval, t.id, t.created_at from ai_usage_tracking t
		where t.request_id = 'req_to_correct' and t.state = 'settled'";
	my $settled = "(select id from ai_usage_tracking where state = 'settled' and request_id = 'req_to_correct')";
	my @wrong = (
		['counter: requests of the day', 'update fpm.counters set day_count = day_count + 1 where month_count > 3'],
		['counter: requests of the month', 'update fpm.counters set month_count = month_count + 1 where month_count > 3'],
		['counter: cost of the month', "update fpm.counters set month_cost = month_cost + 0.000001 where feature_type = 'chatbot'"],
		['counter: reserved', "update fpm.counters set reserved = reserved + 1 where feature_type = 'chatbot'"],
		['counter: day of another month', "update fpm.counters set day = month + interval '1 month' where feature_type = 'chatbot'"],
		['counter: missing', "delete from fpm.counters where feature_type = 'chatbot'"],
		(map { ["daily sum: $_->[0]", "update fpm.usage_daily set $_->[1] = $_->[1] + 1 where feature_type = 'chatbot'"] }
			['requests', 'requests'], ['cached', 'cached'], ['failed', 'failed'], ['aborted', 'aborted'], ['expired', 'expired'], ['corrections', 'corrections'],
			['estimated', 'estimated'], ['overruns', 'overruns'], ['prompt tokens', 'prompt_tokens'], ['cached tokens', 'cached_tokens'],
			['completion tokens', 'completion_tokens'], ['tokens', 'tokens'], ['cost', 'cost_cents'], ['tokens saved', 'tokens_saved'], ['cents saved', 'saved_cents'],
			['duration', 'duration_ms']),
		['daily sum: requests', "delete from fpm.usage_daily where feature_type = 'chatbot'"],
		['reservation: past its time', "update fpm.ai_usage_open set expires_at = now() - interval '11 minutes'"],
		['archived month: rows', 'update fpm.archived_months set row_count = row_count + 1', '2025-02-10'],
		['archived month: cost', 'update fpm.archived_months set cost_cents = cost_cents + 1', '2025-02-10'],
		['idempotency key: answer without its row', $key =~ s/\?/'1 day'/r],
		['idempotency key: past its time', $key =~ s/\?/'-2 hours'/r =~ s/req_other/req_to_correct/r =~ s/interval '1 day'/interval '0'/r],
		['row: price of another model', "update ai_usage_tracking set price_id = (select price_id from ai_models where model_name = 'gpt-4') where id = $settled"],
		['row: cost', "update ai_usage_tracking set cost_cents = cost_cents + 1 where id = $settled"],
		['row: corrects nothing', "update ai_usage_tracking set corrects = gen_random_uuid() where state = 'correction'"],
		['row: tokens are not prompt and completion', "update ai_usage_tracking set tokens_used = tokens_used + 1 where id = $settled"],
		['row: below zero', "update ai_usage_tracking set prompt_tokens = -1 where id = $settled"],
		['row: more cached tokens than prompt tokens', "update ai_usage_tracking set cached_tokens = prompt_tokens + 1 where id = $settled"],
		['row: tokens of an open or cached call', "update ai_usage_tracking set tokens_used = 1, prompt_tokens = 1 where state = 'reserved'"],
		['row: success says otherwise', "update ai_usage_tracking set success = false where id = $settled"],
		['row: overrun says otherwise', "update ai_usage_tracking set overrun = true where id = $settled"],
		['row: ended without a time', "update ai_usage_tracking set settled_at = null where id = $settled"],
		['row: expired and not estimated', "update ai_usage_tracking set state = 'expired', success = false where id = $settled"],
		['row: price unknown', "update ai_usage_tracking set price_id = null where id = $settled"],
	);
	for my $case (@wrong) {
		my ($name, $sql, $day) = @$case;
		$day //= $h->value("select (now() at time zone 'UTC')::date");
		my $dbh = $h->dbh;
		$dbh->begin_work;
		$dbh->do('delete from fpm.archived_months') if $name eq 'row: corrects nothing'; # what it corrects may be in one
		$dbh->do($sql);
		my $found = sub { return grep { $_ eq $name } map { $_->[0] } @{$dbh->selectall_arrayref('select check_name from fpm.audit(?, ?)', undef, @_)} };
		ok $found->(undef, undef), "$name: is found";
		ok $found->($day, $day), 'in its period';
		ok !$found->('2019-01-01', '2019-01-31'), 'and in no other';
		$dbh->rollback;
	}
	my %tested = map { $_->[0] => 1 } @wrong;
	my $source = Harness::Web::slurp(Harness::source() . '/sql/functions/audit.sql');
	my ($rows) = $source =~ /select 'row: ' \|\| v\.what.*?values\n(.*?)v \(what, expected, wrong\)/s;
	my ($sums) = $source =~ /values\n\t\t(\('requests', d.*?)v \(what, expected, found\)/s;
	my @checks = ($source =~ /'((?:counter|reservation|idempotency key|row)(?:: [^']+)?)'/g, map({ "row: $_" } $rows =~ /^\t\t\('([^']+)'/mg),
		map({ "daily sum: $_" } $sums =~ /\('([^']+)',/g), map({ "archived month: $_" } 'rows', 'cost'));
	is_deeply [grep { !$tested{$_} } grep { $_ ne 'row: ' } @checks], [], 'every check of the audit has been made to fail here';
	$h->dbh->do("update fpm.counters set day_count = day_count + 1 where feature_type = 'chatbot'");
	is ctl('audit', '--json'), 1, 'a difference is a status of 1';
	is_deeply [map { $_->{check} } @{$json->decode($out)}], ['counter: requests of the day'], 'and the difference itself';
};

done_testing;
