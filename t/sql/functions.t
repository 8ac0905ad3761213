#!/usr/bin/perl
# Runs the pgTAP files of this folder, each in a transaction that is rolled back, in a PostgreSQL of its own, and prints them as one TAP stream.
# Usage: perl t/sql/functions.t [FILE…]
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../e2e/lib";
use Cluster;

my @files = @ARGV ? @ARGV : sort glob "$FindBin::Bin/*.sql";
my $count = 0;
my $failed = 0;

sub result {
	my ($ok, $text) = @_;
	$failed++ unless $ok;
	printf "%s %d%s\n", $ok ? 'ok' : 'not ok', ++$count, $text;
}

$| = 1;
my $pg = Cluster->new->start->migrate;
$pg->psql('create extension pgtap');

for my $file (@files) {
	(my $name = $file) =~ s{.*/}{};
	$name =~ s/\.sql$//;
	my ($status, $out) = $pg->psql_file($file);
	my ($planned, $seen) = (undef, 0);
	for my $line (split /\n/, $out) {
		if ($line =~ /^(not )?ok \d+(?: - )?(.*)/) {
			$seen++;
			result(!$1, " - $name: $2");
		} elsif ($line =~ /^1\.\.(\d+)/) {
			$planned = $1;
		} elsif ($line =~ /^#/ || $status && $line ne '') {
			print $line =~ /^#/ ? "$line\n" : "# $line\n"; # what else a query prints tells only where one raised
		}
	}
	result($status == 0 && defined $planned && $planned == $seen, " - $name: ran to its end");
}

print "1..$count\n";
exit($failed ? 1 : 0);
