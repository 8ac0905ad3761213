# The sample settings and the manual page show exactly what the table in src/base/settings.c has. `make settings-files` writes both.
use strict;
use warnings;
use Test::More;

my ($src, $build) = ($ENV{PROMPT_FPM_SRC} // '.', $ENV{PROMPT_FPM_BUILD} // '.');

sub slurp {
	my ($path) = @_;
	open my $in, '<', $path or die "$path: $!";
	local $/;
	return <$in>;
}

sub printed { my ($as) = @_; return scalar `'$build/promptctl' settings --$as` }

is(slurp("$src/etc/prompt-fpm.conf"), printed('sample'), 'etc/prompt-fpm.conf shows the table');
my ($list) = slurp("$src/man/prompt-fpm.conf.5") =~ /^\.\\" settings: begin\n(.*)^\.\\" settings: end$/ms;
is($list, printed('manual'), 'man/prompt-fpm.conf.5 lists the table');
done_testing;
