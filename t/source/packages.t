# A package is named where it is installed (quickstart) and where its reason stands (doc/dependencies.md); configure names the ones it looked for.
use strict;
use warnings;
use Test::More;

my $src = $ENV{PROMPT_FPM_SRC} // '.';

sub slurp {
	my ($path) = @_;
	open my $in, '<', "$src/$path" or die "$path: $!";
	local $/;
	return <$in>;
}

my ($quickstart, $doc, $configure) = map { slurp($_) } qw(quickstart doc/dependencies.md configure.ac);
my %installed = map { $_ => 1 } map { split } $quickstart =~ /^(?:build|demo|check)_packages=\(([^)]*)\)/mg;
my %reason = map { $_ => 1 } $doc =~ /`([a-z][a-z0-9+-]+)`/g;
my @looked_for = $configure =~ /^FPM_MODULE\(\[\w+\], \[[^\]]+\], \[([\w.+-]+)\]\)/mg;

cmp_ok(scalar(keys %installed), '>', 20, 'quickstart lists its packages');
is_deeply([grep { !$reason{$_} } sort keys %installed], [], 'each has its reason in doc/dependencies.md');
cmp_ok(scalar(@looked_for), '>', 8, 'configure looks for libraries');
is_deeply([grep { !$installed{$_} } @looked_for], [], 'quickstart installs what configure wants');
done_testing;
