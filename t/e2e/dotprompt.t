# Whole .prompt files against npm's dotprompt, the reference: random front matter, roles, history, sections, partials and metadata, and no difference allowed.
# The same cases each time; DOTPROMPT_SEED asks for others, DOTPROMPT_CASES for more of them. The package is fetched for the run; where it cannot be had, the test
# says so and skips.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $build = abs_path($ENV{PROMPT_FPM_BUILD} // "$FindBin::Bin/../..");
my $cases = $ENV{DOTPROMPT_CASES} // 1_000;
my $seed = $ENV{DOTPROMPT_SEED} // 1;
my $dir = tempdir('pf-dotprompt-XXXXXX', DIR => '/tmp', CLEANUP => 1);

sub installed {
	return 'node and npm are not here' if system('sh', '-c', 'command -v node npm >/dev/null 2>&1') != 0;
	my $npm = "cd '$dir' && npm install --prefix '$dir' --no-audit --no-fund --no-save dotprompt\@1 >npm.log 2>&1";
	return 'npm could not fetch dotprompt' if system('sh', '-c', "timeout 120 sh -c \"$npm\"") != 0;
	return;
}

if (my $why = installed()) {
	plan skip_all => "$why: the comparison with dotprompt is left out";
}
plan tests => 2;
diag("DOTPROMPT_SEED=$seed, $cases cases");

mkdir "$dir/files";
$ENV{NODE_PATH} = "$dir/node_modules";
my @report = split /\n/, `node '$FindBin::Bin/dotprompt.js' $seed $cases '$build/promptctl' '$dir/files'`;
my ($count, $differences) = ($report[-1] // '') =~ /^(\d+) cases, (\d+) differences$/;
is($count, $cases, 'all were compared');
is($differences, 0, "no difference over $cases cases") or diag(join "\n", "DOTPROMPT_SEED=$seed repeats this", @report);
