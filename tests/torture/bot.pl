# The bot under torture. It is copied to `src/main_app.py` and run by a perl that goes by the name of `python3`: in
# every respect that the agent looks at it is a Python program, and it starts with a third of a Python's CPU time.
#
# While it lives it holds a lock of its own: two lives that overlap leave a line in `overlaps`, however short that was.
# The one that finds a file `eager` takes it away and says READY=1 (sd_notify(3)): it ends its start grace itself.

my ($project) = $0 =~ m{^(.*)/src/[^/]*$};

open my $market, '>>', "$project/market.lock" or die;
my $alone;
for (1 .. 20) {    # the kernel closes a dead bot's files one by one
    last if $alone = flock $market, 2 | 4;    # LOCK_EX | LOCK_NB
    select undef, undef, undef, 0.01;
}
if (!$alone) {
    open my $overlaps, '>>', "$project/overlaps" or die;
    syswrite $overlaps, "PID $$ is the second\n";
}
if ($ENV{NOTIFY_SOCKET} && unlink "$project/eager") {
    socket my $guard, 1, 2, 0 or die;    # AF_UNIX, SOCK_DGRAM
    send $guard, "READY=1\n", 0, pack('S a*', 1, $ENV{NOTIFY_SOCKET}) or die;
}
sleep;
