# Stands in for "vhd-util read -p" and "vhd-util modify -p", which Debian does not package: one short
# process a volume. "read VHD" prints the parent's LV name; "set VHD PARENT" enters a parent.
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_RDWR SEEK_SET);
use IO::Handle;

my ($verb, $path, $parent) = @ARGV;
sysopen(my $vhd, $path, $verb eq 'set' ? O_RDWR : O_RDONLY) or die "$path: $!";

sub get {
    my ($file, $offset, $length) = @_;
    sysseek($file, $offset, SEEK_SET);
    sysread($file, my $data, $length) == $length or die "short read";
    return $data;
}

sub put {
    my ($offset, $data) = @_;
    sysseek($vhd, $offset, SEEK_SET);
    syswrite($vhd, $data) == length $data or die "short write";
}

# Device-mapper's name of an LV: single dash between VG and LV, dashes inside them doubled.
sub mapper_name {
    my ($vg, $lv) = $_[0] =~ m{^/dev/([^/]+)/([^/]+)$} or die "not an LV: $_[0]";
    s/-/--/g for $vg, $lv;
    return "$vg-$lv";
}

get($vhd, 0, 8) eq 'conectix' or die "$path: not a VHD";
my $header = get($vhd, 512, 1024);
if ($verb eq 'read') {
    my $name = substr($header, 64, 512);
    $name =~ s/\0//g;  # UTF-16BE of ASCII
    $name =~ s/--/\n/g;
    $name =~ s/^.*-//s;  # what follows the last single dash
    $name =~ s/\n/-/g;
    print "$name\n" if length $name;
    exit 0;
}
sysopen(my $base, $parent, O_RDONLY) or die "$parent: $!";
my $raw = $parent =~ m{/LV-};
my $uuid = $raw ? "\0" x 16 : substr(get($base, 0, 512), 68, 16);
my $name = mapper_name($parent);
my %text = (
    'MacX' => "file://./$name",
    'W2ku' => join('', map { "$_\0" } split //, ".\\$name"),
    'W2ru' => join('', map { "$_\0" } split //, ".\\$name"),
);
for my $slot (0 .. 7) {
    my $at = 576 + 24 * $slot;
    my ($code, undef, undef, undef, $high, $low) = unpack 'a4NNNNN', substr($header, $at, 24);
    next unless exists $text{$code};
    put($high * 2**32 + $low, $text{$code} . "\0" x (512 - length $text{$code}));
    substr($header, $at + 8, 4) = pack 'N', length $text{$code};
}
substr($header, 40, 16) = $uuid;
my $wide = join '', map { "\0$_" } split //, $name;
substr($header, 64, 512) = $wide . "\0" x (512 - length $wide);
substr($header, 36, 4) = "\0" x 4;
substr($header, 36, 4) = pack 'N', ~unpack('%32C*', $header) & 0xFFFFFFFF;
put(512, $header);
$vhd->sync or die "sync: $!";
