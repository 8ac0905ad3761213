# Most calls have nothing in their way: the daemon asks for those in one look (fpm.admit_ready), and for all others as ever (fpm.admit_calls). Which it asked is what
# PostgreSQL counts of its functions; what the callers get is the same.
use strict;
use warnings;

use Test::More;
use Cluster;
use Harness;
use Harness::Process qw(await);
use Wedding qw(email form problem);

my $h = Harness->new(web => 'lighttpd', cluster => Cluster->new(settings => {track_functions => 'pl'})->start, settings => {'pm.max_children' => 1, 'pm.threads' => 64, authenticate_cache => '600s'});

sub asked { return join ' ', map { $h->value(q{select coalesce(sum(calls), 0) from pg_stat_user_functions where schemaname = 'fpm' and funcname = ?}, $_) } qw(admit_ready admit_calls) }

# Calls of (admit_ready, admit_calls) since the last look. A server process tells what it counted when it has time, or when it ends.
my $before = '0 0';
sub asked_since {
	my ($name, $ready, $calls) = @_;
	my @sum = split ' ', $before;
	$h->value(q{select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where usename = ? and backend_type = 'client backend'}, $h->{login});
	my $want = join ' ', $sum[0] + $ready, $sum[1] + $calls;
	ok await(sub { asked() eq $want }, 20), "$name: $ready times where nothing is in the way, $calls times to decide" or diag 'wanted ', $want, ', found ', asked();
	$before = asked();
}

my $pro = $h->supplier('enterprise');
sub ask { return $h->post($Wedding::EMAIL, $_[1] // email(), key => $_[0]{key}) }

is ask($pro)->status, 200, "a supplier's first call";
asked_since('it', 0, 1);
my $again = email();
is ask($pro, $_)->status, 200, 'another' for $again, map { email() } 1 .. 4;
asked_since('they', 5, 0);
ok ask($pro, $again)->json->{usage}{fromCache}, 'one that was answered before';
asked_since('it', 0, 1);

my $starter = $h->supplier('starter');
is ask($starter)->status, 200, "five of a starter's" for 1 .. 5;
asked_since('they', 4, 1);
problem ask($starter), 429, 'daily_limit', 'the sixth';
asked_since('it', 1, 1);
problem ask($starter), 429, 'daily_limit', 'the seventh' for 1 .. 3;
asked_since('they', 0, 3);

is $h->post($Wedding::FORM, form(), key => $pro->{key})->status, 200, 'an endpoint with a rate' for 1 .. 2;
asked_since('it', 0, 2);

$h->value('select fpm.key_revoke(k.id::text) from fpm.api_keys k where k.supplier_id = ?', $pro->{id});
problem ask($pro), 401, 'unauthenticated', 'a key that was revoked a moment ago';
asked_since('it', 1, 1);

my @rows = $h->ended_rows(14);
is scalar(grep { $_->{state} eq 'settled' } @rows), 13, 'every call has its row';
is +($h->ctl('audit'))[0], 0, 'promptctl audit finds all equal';

done_testing;
