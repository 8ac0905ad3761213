# How much of a long test is run: what `make check` has time for, or the whole where PROMPT_FPM_LONG is set, as `make check-long` sets it. A variable of the
# measure's own name asks for another amount.
#
#   my $rounds = size(KILL_ROUNDS => 8, 200);
package Harness::Size;

use strict;
use warnings;

use Exporter qw(import);
use Test::More ();

our @EXPORT_OK = qw(size);

sub size {
	my ($name, $short, $long) = @_;
	my $size = $ENV{$name} || ($ENV{PROMPT_FPM_LONG} ? $long : $short);
	Test::More::diag("$name: $size" . ($size < $long ? ", shortened from the $long of make check-long" : ''));
	return $size;
}

1;
