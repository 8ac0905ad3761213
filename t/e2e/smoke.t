# Every way of starting the product: each web server in front, spawn-fcgi and lighttpd's bin-path as its starters, an upstream over TLS, none at all.
# One request and one stream go through each; and everything that was started is gone afterwards.
use strict;
use warnings;

use JSON::PP;
use Test::More;
use Harness;
use Wedding qw(email directive);

sub a_request_and_a_stream {
	my ($h, $name, $client) = @_;
	$client //= $h->client;
	my $s = $h->supplier('enterprise');
	my $r = $client->post($Wedding::EMAIL, email(directive('pieces=5 tokens=50')), key => $s->{key});
	is($r->status, 200, "$name: a request") or diag($r->body);
	my $stream = $client->open_stream($Wedding::EMAIL, email(directive('pieces=5 gate=2'), stream => JSON::PP::true), key => $s->{key});
	is($stream->status, 200, "$name: a stream");
	ok($stream->read_until(qr/couple/, 5), 'its first pieces come while the upstream waits');
	$h->standin->release;
	is($stream->slurp(5)->ended, 'complete', 'and the rest afterwards');
	my @rows = $h->ended_rows(2, supplier_id => $s->{id});
	is_deeply([map { "$_->{state} $_->{completion_tokens}" } @rows], ['settled 50', 'settled 5'], 'both are in the ledger');
}

subtest 'lighttpd, Apache, nginx' => sub {
	my $h = Harness->new(web => 'lighttpd', settings => {'pm.max_children' => 3});
	is(scalar(() = $h->workers), 3, 'three workers');
	cmp_ok($h->pss_kb, '>', 1000, 'which take some memory') if $> == 0;
	a_request_and_a_stream($h, 'lighttpd');
	for my $kind (qw(apache nginx)) {
		my $client = $h->client($h->start_web($kind));
		a_request_and_a_stream($h, $kind, $client);
		is($client->request('GET', '/index.html')->status, 200, "$kind: a page");
	}
	is($h->stop_daemon, 0, 'the daemon ends in order');
};

subtest 'under spawn-fcgi' => sub {
	my $h = Harness->new(web => 'lighttpd', spawn => 1);
	unlike(Harness::Web::slurp($h->dir . '/prompt-fpm.conf'), qr/^listen = /m, 'its settings name no socket');
	a_request_and_a_stream($h, 'spawn-fcgi');
	is($h->stop_daemon, 0, 'it ends in order');
};

subtest 'started by lighttpd' => sub {
	my $h = Harness->new(web => 'lighttpd-bin-path');
	a_request_and_a_stream($h, 'bin-path');
	my @pids = ($h->master, $h->children);
	cmp_ok(scalar @pids, '>=', 3, 'a master and its children');
	$h->web->stop;
	ok(Harness::Process::await(sub { !grep { kill 0, $_ } @pids }, 10), 'which do not outlive the web server');
};

subtest 'an upstream over TLS' => sub {
	my $h = Harness->new(tls => 1);
	my $s = $h->supplier('enterprise');
	my $r = $h->post($Wedding::EMAIL, email(directive('pieces=5')), key => $s->{key});
	is($r->status, 200, 'a request') or diag($r->body);
	is($h->standin->counts->{finished}, 1, 'the upstream had it');
};

subtest 'no upstream' => sub {
	my $h = Harness->new(standin => 0);
	my $s = $h->supplier('starter');
	my $r = $h->post($Wedding::EMAIL, email(), key => $s->{key});
	is($r->status, 200, 'the sample provider answers') or diag($r->body);
	my ($row) = $h->ended_rows(1, supplier_id => $s->{id});
	is($row->{provider}, 'local', 'as the ledger says');
};

my @left = grep { (eval { Harness::Web::slurp("/proc/$_/stat") } // '') =~ /^\d+ \(.*\) \S $$ / } map { m{/proc/(\d+)$} } glob '/proc/[0-9]*';
is_deeply(\@left, [], 'no child is left');
done_testing;
