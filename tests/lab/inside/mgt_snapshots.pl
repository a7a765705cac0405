# Prints the uuids of the VDIs that an SR's MGT volume says are snapshots. Argument: its device.
use strict;
use warnings;

open(my $mgt, '<:raw', $ARGV[0]) or die "$ARGV[0]: $!\n";
read($mgt, my $header, 512) == 512 or die "$ARGV[0]: short\n";
my ($length) = $header =~ /^XSSM:(\d+)/ or die "$ARGV[0]: no MGT\n";
seek($mgt, 4 * 512, 0);
for (my $at = 4 * 512; $at < $length; $at += 1024) {
    read($mgt, my $record, 1024) == 1024 or die "$ARGV[0]: short\n";
    next if $record =~ m{<deleted>1</deleted>} or $record !~ m{<is_a_snapshot>1</is_a_snapshot>};
    print "$1\n" if $record =~ m{<uuid>([0-9a-f-]{36})</uuid>};
}
