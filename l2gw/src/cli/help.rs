//! What `--help` says after the options: at most 80 columns, with commands that can be typed as they stand.

pub(super) const L2GW: &str = "\
Before anything runs, without root:
  l2gw check gateway.toml       is the file right? every mistake, with its place
  l2gw table gateway.toml       what will each port do with each VLAN?
  l2gw trace gateway.toml --port leaf1 --frame ffffffffffff0200000000018100...
                                where will this frame go, and why?

All of it on a small network inside this machine, as root:
  l2gw demo

A day with a gateway:
  l2gw run gateway.toml --host gw1
                                the daemon, in the foreground
  l2gw show status              is it well? then ports, trunks, macs, flows,
                                counters, bridges, events
  l2gw trace --port leaf1 --frame ffffffffffff0200000000018100...
                                where does this frame go now?
  l2gw plan gateway.toml        what would change, for the file and for frames?
  l2gw apply gateway.toml       change it; established traffic goes on
  l2gw port add vm9 --bridge vub8 --host gw1 --link tap9
                                one more VM, without the file

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 bad configuration. With --json
a failure is {\"error\": \"why\"} on standard output. A configuration that cannot be
read is bad; any other file that cannot be read is a failure.";

pub(super) const CHECK: &str = "\
Exits 0 after one line of summary (warnings come before it), or 78 after every
mistake, each as FILE:LINE:COLUMN: key: value: what is allowed.";

pub(super) const TABLE: &str = "\
One row for all the VIDs that a port treats alike: [100-199]. A [v] in a copy is
the VID with which the frame came. All ports are taken to be up and every trunk
to carry its VLANs, also where one of several does at a time. A drop for want of
another port says why.

In JSON, `vids` has all VIDs of a row, `tags` the lowest of them; `follows` says
which tags of an output (0 is the outermost) have the frame's own VID; of more
than 64 outputs `more` counts the rest.";

pub(super) const TRACE: &str = "\
With a FILE it needs no root and no daemon: all ports are taken to be up, no
address to be known, and of several trunks into one fabric one to carry each
VLAN, as while all of them are up; the answer says which and why. It is other
where --learn and --designated say so. Frames of a capture teach addresses to
those that come after them.

The port may be named by its link. A frame is made of its fields, or pasted:
digits, what `tcpdump -xx` prints (not -x, which leaves the addresses out), or
Wireshark's hex dump.

  l2gw trace gateway.toml --port leaf1 --vid 8 --src 02:00:00:00:00:01 --arp
  l2gw trace gateway.toml --port leaf1 --vid 300.8 --dst 02:00:00:00:00:09 --ip
  l2gw trace gateway.toml --port leaf1 --frame -
  l2gw trace gateway.toml --port leaf1 --frame @dump.txt
  l2gw trace gateway.toml --port leaf1 --pcap lab.pcap
  l2gw trace gateway.toml --port leaf1 \\
             --frame ffffffffffff02000000000181000008080600
  l2gw trace gateway.toml --port vm1 --frame 02000000000102000000000b0800 \\
             --learn leaf1=02:00:00:00:00:01@8

Without a FILE the running daemon is asked: what would it do with this frame
now, by its ports, addresses and trunks as they are? Nothing is sent and nothing
is learned. The port has to be one of its host: of other hosts' links it knows
nothing.

  l2gw trace --port leaf1 --frame ffffffffffff02000000000181000008080600";

pub(super) const RUN: &str = "\
The file is checked before anything is opened; one with mistakes changes nothing
(exit code 78). If it has changed since it was published last it becomes the next
revision; if not, what was applied after it stays. Then links are bound as they
appear.

  SIGTERM, SIGINT  stop in order. The kernel goes on forwarding by the flows it
                   has, unless --teardown was given
  SIGHUP           read the file again and apply it. A file with mistakes is
                   logged and changes nothing. During the start it waits

Started again it takes over the flows and addresses that it finds. Logs go to
standard error; L2GW_LOG=debug says more. It needs CAP_NET_ADMIN.

With --datapath fake it needs nothing: its links are in memory only, to try a
file and the commands.

  l2gw run gateway.toml --host gw1
  l2gw run gateway.toml --host gw1 --datapath fake \\
           --state /tmp/try --socket /tmp/try/l2gw.sock";

pub(super) const REPLAY: &str = "\
Exits 0 where every output is the one that was recorded, and 1 where one is not,
with the number of the line. A record of another version may differ because the
gateway does something else now. One that ends in the middle of something is
played as far as it goes, and says so. Nothing but the record is opened.

  l2gw run gateway.toml --host gw1 --record /tmp/l2gw.record
  l2gw replay /tmp/l2gw.record";

pub(super) const SHOW: &str = "\
  status    revision in force, ports up and which are not, numbers of addresses
            and flows
  ports     each exterior port: its state and why it is not up, its link,
            addresses, frames, drops and why most of them
  trunks    each trunk: the VLANs that it may carry, and those it carries now
  bridges   each bridge: its ports, and what its VLANs lead to
  macs      each address: where it is, how it came there, how long it was idle
  flows     each flow of the kernel, most hit first: what matches, what is done
  counters  drops by reason, frames, refusals; the same as /metrics on the socket
  events    what happened lately: ports up, down, blocked; revisions; refusals
  hosts     each host of the newest revision: is it there, which revision has it,
            what is wrong there
  config    the newest revision, as a file
  revisions the last 100: who published each, when and why

Of a long list, --port (or the name of its link), --vlan, --mac, --down, --sort
and --limit show some:
  l2gw show macs --port vm8
  l2gw show flows --vlan 8 --sort bytes --limit 10
  l2gw show ports --down

hosts, config and revisions are in the store, and can be read of it from any
machine:
  l2gw show revisions --nsdb zookeeper:192.0.2.21:2181 --auth-file zk.auth

The socket speaks HTTP; this is the answer of `l2gw show ports --json`:
  curl --unix-socket /run/l2gw/l2gw.sock http://l2gw/v1/ports";

pub(super) const PLAN: &str = "\
Compares the file with the newest revision: objects in the file's words (+ new,
- gone, ~ changed; a key without a value is `unset`), all of them, then what
changes for a broadcast frame of each port and VLAN: [v] is the frame's own VID.
The order of objects says nothing. Addresses already learned play no part in it.
A host that would have no port any more is named first.

  l2gw plan gateway.toml
  l2gw plan gateway.toml --nsdb zookeeper:192.0.2.21:2181 --auth-file zk.auth";

pub(super) const APPLY: &str = "\
Only flows that the change meets are replaced; all other traffic goes on.

`l2gw plan` says which revision it compared with. With --against that number
nothing is applied if somebody else made a revision in between (exit code 1).

A file without the host that runs, or without any port of it, would stop all
forwarding here, and is refused (78). --without-host HOST says that it is meant.

  l2gw apply gateway.toml --without-host gw1

With --confirm TIME it is in force for that time only, unless it is confirmed: for
a change that may cut you off. `l2gw confirm --help` says how.

  l2gw apply gateway.toml --confirm 60s

With --nsdb no daemon is asked: this command opens the store, publishes by the
same rules, and ends once the revision is stored. It may run on any machine. No
host runs there, so that none is protected but by --against and `l2gw plan`,
which names the hosts that would lose all of their ports.

  l2gw apply gateway.toml --against 7 \\
             --nsdb zookeeper:192.0.2.21:2181 --auth-file zk.auth";

pub(super) const CONFIRM: &str = "\
`l2gw apply FILE --confirm 60s` puts a file into force for a while. If nobody
confirms it in that time, every host goes back to the revision before by itself,
also one that the change has cut off from the store, and the store gets that
revision again. So whoever locks themselves out waits, and is back.

Each host counts from when it saw the revision; one that is restarted meanwhile
counts anew. Until then nothing else is applied, but `l2gw rollback` ends it at
once. Where nothing waits, what became of it is said (exit code 1). A rollback
may be for a while too: `l2gw rollback 41 --confirm 60s`.

  l2gw apply gateway.toml --confirm 60s
  l2gw confirm
  l2gw confirm 42 --nsdb zookeeper:192.0.2.21:2181 --auth-file zk.auth";

pub(super) const ROLLBACK: &str = "\
The last 100 revisions are kept. What the earlier one declares is published as a
new revision, by the same rules as a file (`l2gw apply --help`). A daemon that was
started with a file goes on with the rollback, also over a restart, until the
file changes or SIGHUP has it read again.

With --confirm TIME it is in force for that time only, unless `l2gw confirm`
comes: then what was there before the rollback is in force again. On top of a
revision that waits for its confirmation a rollback comes for good only.

  l2gw show revisions
  l2gw rollback 41
  l2gw rollback 41 --confirm 60s";

pub(super) const PORT_ADD: &str = "\
The port goes into the newest revision beside what is there, and outlives
`l2gw apply`: a file replaces only what came from a file. `l2gw plan` and
`l2gw show config` tell of it, with the origin cli and who added it. A port that
is there already, as it is asked for, is no mistake. If somebody else makes a
revision meanwhile, it is added to theirs.

  l2gw port add vm9 --bridge vub8 --host gw1 --link tap9
  l2gw port add vm9 --bridge vub8 --host gw1 --link tap9 \\
                --mac 52:54:00:00:00:09 --set sticky=1 --set bpdu=discard
  l2gw port add vm9 --bridge vub8 --host compute1 --link tap9 \\
                --nsdb zookeeper:192.0.2.21:2181 --auth-file zk.auth";

pub(super) const PORT_DEL: &str = "\
What came from a file, or by the socket, is refused (78): take it out there.

  l2gw port del vm9";

pub(super) const FLUSH: &str = "\
Addresses declared in the file stay; those that stick to a port (`sticky`) go.
What still talks is learned again at once, by its next frame; until then frames
to it go to the whole segment.

  l2gw flush macs --port vm1";

pub(super) const UNBLOCK: &str = "\
A port is blocked when a BPDU arrives where no switch belongs. Unplug that
switch first, or its next BPDU blocks the port again.";

pub(super) const TEARDOWN: &str = "\
A daemon that stops leaves its datapath in force, and its links are ports of it:
until they are free, `ip link delete` and `ip link set LINK master` are refused.
This removes the datapath with its ports, flows and meters. Nothing is forwarded
any more. No file and no daemon is needed; while a daemon drives the datapath,
nothing is removed (exit code 1). Where there is none, that is said (exit code 0).

  l2gw teardown";

pub(super) const STORE_INIT: &str = "\
Nothing is ever written to servers where no database is: this makes one, and
prints who may do what. Where a database or somebody else's data is, nothing is
changed (exit code 1). If it was stopped before its end, run it again. Without
nsdb.auth-file everybody who reaches the servers may read and change everything.

A password has 16 bytes or more; `openssl rand -base64 24` makes one:
  (umask 077; echo \"gateway:$(openssl rand -base64 24)\" > /etc/l2gw/zk.auth)
  (umask 077; echo \"agent:$(openssl rand -base64 24)\" > /etc/l2gw/agents.auth)
  l2gw store init gateway.toml --agents-auth-file /etc/l2gw/agents.auth";

pub(super) const STORE_ACCEPT: &str = "\
A host follows the database that it knows, also over a restart, and no older
revision than it had. Of a database that was put back from a backup, or made anew,
it says which one it knew and keeps what is in force. This command says to all hosts
that knew that one: what is there is meant. They follow within half a minute, with
the revision that is there. `l2gw show config --nsdb STORE` shows it before.

  l2gw store accept 0123456789abcdef0123456789abcdef gateway.toml";

pub(super) const DEMO: &str = "\
A switch, two physical machines, two VMs and a gateway in network namespaces of
this machine, on the real kernel datapath: needs root, iproute2, ping and a
kernel with openvswitch.ko (`make demo` boots one if need be). All of it is
removed at the end. Exits 0 if everything came as expected, else 1.";

pub(super) const COMPLETIONS: &str = "\
  l2gw completions bash > /etc/bash_completion.d/l2gw";
