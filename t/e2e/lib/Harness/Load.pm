# What the benchmarks share: the product as they start it, the load generator, and processor time by process.
#
#   my $product = Harness::Load::product(suppliers => 200, words => 150);   # {h => Harness, keys => file of callers' keys}
#   my $line = Harness::Load::finish(Harness::Load::start($h, 'plain', keys => $file, url => $url, more => ['--callers', 32]));   # {rate => …, p50_ms => …}
package Harness::Load;

use strict;
use warnings;

use Exporter qw(import);
use Harness;
use List::Util qw(sum0);
use POSIX qw(sysconf _SC_CLK_TCK);

our @EXPORT_OK = qw(median cpu_seconds with_children);
our $path = '/api/ai/generate-email-template';

sub median {
	my @sorted = sort { $a <=> $b } @_;
	return @sorted ? ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2 : 0;
}

# One worker of many threads: what waits in one process shares statements.
sub product {
	my (%with) = @_;
	my $h = Harness->new(web => $with{web} // 'lighttpd', quiet => 1, durable => 1, standin_args => ['--pieces', $with{words}],
		settings => {'pm.max_children' => 1, 'pm.threads' => 1024});
	my @keys = map { $h->supplier('enterprise')->{key} } 1 .. $with{suppliers};
	return {h => $h, keys => Harness::Web::spew($h->dir . '/keys.product', join '', map { "$_\n" } @keys), first_key => $keys[0]};
}

# One call, which the endpoint has to answer: what is measured works, and the stand-in has seen a body.
sub first_call {
	my ($product) = @_;
	my $first = $product->{h}->client->post($path, product_body('', 0) =~ s/%n/0/r, key => $product->{first_key});
	die 'the endpoint does not answer: ' . $first->status . ' ' . $first->body . "\n" if $first->status != 200;
}

# A caller's body; %n in it becomes another number in each request, so that none is answered out of the cache.
sub product_body {
	my ($more, $stream) = @_;
	return sprintf '{"templateType": "booking confirmation", "context": {"recipientType": "couple", "occasion": "summer wedding", "tone": "warm", '
		. '"customInstructions": "Keep it short, and mention number %%n. %s"}, "stream": %s}', $more, $stream ? 'true' : 'false';
}

# The call that the daemon has just made for such a body, for whoever is to pass it on as it is.
sub upstream_body {
	my ($h) = @_;
	return $h->standin->last->{body} =~ s/mention number \d+/mention number %n/r;
}

# mode: plain or stream; keys: a file; url; more: further options of t/bench/load. Returns a handle for finish.
sub start {
	my ($h, $mode, %with) = @_;
	my $pid = open my $from, '-|' // die "fork: $!\n";
	if (!$pid) {
		open STDERR, '>', '/dev/null';
		exec $h->build . '/t/bench/load', $mode, '--keys', $with{keys}, '--url', $with{url}, @{$with{more} // []} or POSIX::_exit(127);
	}
	return $from;
}

# The load generator's line of key=value, as a hash.
sub finish {
	my ($from) = @_;
	my $line = <$from> // die "the load generator says nothing\n";
	close $from;
	return {map { split /=/, $_, 2 } split ' ', $line};
}

sub failures { return sum0(@{$_[0]}{qw(refused incomplete unconnected unended)}) }

# Processor time that these processes have had so far.
sub cpu_seconds {
	my $ticks = 0;
	for my $pid (@_) {
		my $stat = eval { Harness::Web::slurp("/proc/$pid/stat") } // next;
		my @fields = split ' ', $stat =~ s/^.*\)//sr;
		$ticks += $fields[11] + $fields[12];
	}
	return $ticks / sysconf(_SC_CLK_TCK);
}

sub with_children { return map { ($_, Harness::children_of($_)) } @_ }

# Processor time of the product's parts, and of what it is measured with.
sub cpu_by_part {
	my ($h) = @_;
	my ($postmaster) = Harness::Web::slurp($h->cluster->{dir} . '/data/postmaster.pid') =~ /^(\d+)/;
	return {
		'web server' => cpu_seconds(with_children($h->web->process->pid)), 'prompt-fpm' => cpu_seconds(with_children($h->master)),
		postgres => cpu_seconds(with_children($postmaster)), upstream => cpu_seconds($h->standin->process->pid), load => (times)[2] + (times)[3],
	};
}

1;
