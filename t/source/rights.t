# What the daemon calls in the database stands in three places: in its source, in sql/grants.sql, which lets its role do it, and in promptctl doctor, which looks whether it may.
use strict;
use warnings;
use Test::More;

my $src = $ENV{PROMPT_FPM_SRC} // '.';

sub slurp {
	my ($path) = @_;
	open my $in, '<', $path or die "$path: $!";
	local $/;
	return <$in>;
}

my ($granted) = slurp("$src/sql/grants.sql") =~ /^grant execute on function((?:(?!grant).)*?)\nto fpm_worker;/ms;
my %may = map { $_ => 1 } $granted =~ /\bfpm\.(\w+)\(/g;
my ($looked_for) = slurp("$src/src/ctl/doctor.c") =~ /unnest\('\{(.*?)\}'::text\[\]/s;
my @looked_for = sort $looked_for =~ /\w+/g;
my %called = map { $_ => 1 } map { map { /\bfpm\.(\w+)\(/g } grep { /^\s*[^*\/\s]/ } split /\n/, slurp($_) } glob "$src/src/{request,daemon}/*.c";

cmp_ok scalar(keys %called), '>', 8, 'the daemon calls functions';
is_deeply \@looked_for, [sort keys %called], 'promptctl doctor looks for those and for no others';
is_deeply [grep { !$may{$_} } sort keys %called], [], 'the daemon\'s role may execute each';
is_deeply [grep { !-e "$src/sql/functions/$_.sql" } sort keys %may], [], 'and each is there';
done_testing;
