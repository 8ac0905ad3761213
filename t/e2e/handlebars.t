# The template engine against npm's handlebars: random templates and data, and no difference allowed.
# The same cases each time; HANDLEBARS_SEED asks for others, HANDLEBARS_CASES for more of them. The package is fetched for the run; where it cannot be had, the test
# says so and skips.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $build = abs_path($ENV{PROMPT_FPM_BUILD} // "$FindBin::Bin/../..");
my $batch = "$build/t/unit/render_batch";
my $cases = $ENV{HANDLEBARS_CASES} // 10_000;
my $seed = $ENV{HANDLEBARS_SEED} // 1;
my $dir = tempdir('pf-handlebars-XXXXXX', DIR => '/tmp', CLEANUP => 1);

sub installed {
	return 'node and npm are not here' if system('sh', '-c', 'command -v node npm >/dev/null 2>&1') != 0;
	my $npm = "cd '$dir' && npm install --prefix '$dir' --no-audit --no-fund --no-save handlebars\@4 >npm.log 2>&1";
	return 'npm could not fetch handlebars' if system('sh', '-c', "timeout 120 sh -c \"$npm\"") != 0;
	return;
}

if (my $why = installed()) {
	plan skip_all => "$why: the comparison with handlebars is left out";
}
plan tests => 4;
diag("HANDLEBARS_SEED=$seed, $cases cases");

$ENV{NODE_PATH} = "$dir/node_modules";
my @node = ('node', "$FindBin::Bin/handlebars.js");
my @files = map { "$dir/$_" } qw(jobs expected results);

is(system(@node, 'generate', $seed, $cases, @files[0, 1]), 0, 'handlebars renders its cases');
is(system('sh', '-c', "exec '$batch' <'$files[0]' >'$files[2]'"), 0, 'and so does the product');
my @report = split /\n/, `@node compare @files`;
my ($count, $refused, $differences) = ($report[-1] // '') =~ /^(\d+) cases, (\d+) of them refused by both, (\d+) differences$/;
ok($count && $count == $cases && $refused < $cases / 10, 'all were compared, and few were no templates') or diag($report[-1]);
is($differences, 0, "no difference over $cases cases") or diag(join "\n", "HANDLEBARS_SEED=$seed repeats this", @report);
