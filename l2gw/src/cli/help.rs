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

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 bad configuration.";

pub(super) const CHECK: &str = "\
Exits 0 after one line of summary (warnings come before it), or 78 after every
mistake, each as FILE:LINE:COLUMN: key: value: what is allowed.";

pub(super) const TABLE: &str = "\
Rows: untagged, VID 0, every VID that any port mentions and one that none does.
All ports are taken to be up and every trunk to carry its VLANs.";

pub(super) const TRACE: &str = "\
With a FILE it needs no root and no daemon: all ports are taken to be up, no
address to be known and every trunk to carry its VLANs, unless told by --learn
and --designated. Frames of a capture teach addresses to those after them.

  l2gw trace gateway.toml --port leaf1 --pcap lab.pcap
  l2gw trace gateway.toml --port leaf1 \\
             --frame ffffffffffff02000000000181000008080600
  l2gw trace gateway.toml --port vm1 --frame 02000000000102000000000b0800 \\
             --learn leaf1=02:00:00:00:00:01@8

Without a FILE the running daemon is asked: what would it do with this frame
now, by its ports, addresses and trunks as they are? Nothing is sent and nothing
is learned.

  l2gw trace --port leaf1 --frame ffffffffffff02000000000181000008080600";

pub(super) const RUN: &str = "\
The file is checked before anything is opened; one with mistakes changes nothing
(exit code 78). If it differs from the newest revision in the state directory it
becomes the next one. Then links are bound as they appear.

  SIGTERM, SIGINT  stop in order. The kernel goes on forwarding by the flows it
                   has, unless --teardown was given
  SIGHUP           read the file again and apply it. A file with mistakes is
                   logged and changes nothing

Started again it takes over the flows and addresses that it finds. Logs go to
standard error; L2GW_LOG=debug says more. It needs CAP_NET_ADMIN.

With --datapath fake it needs nothing: its links are in memory only, to try a
file and the commands.

  l2gw run gateway.toml --host gw1
  l2gw run gateway.toml --host gw1 --datapath fake \\
           --state /tmp/try --socket /tmp/try/l2gw.sock";

pub(super) const SHOW: &str = "\
  status    revision in force, ports up, numbers of addresses and flows
  ports     each exterior port: its state and why it is not up, its link,
            addresses, frames, first frames that were over its budget
  trunks    each trunk: the VLANs that it may carry, and those it carries now
  bridges   each bridge: its ports, and what its VLANs lead to
  macs      each address: where it is, how it came there, how long it was idle
  flows     each flow of the kernel, most hit first: what matches, what is done
  counters  drops by reason, frames, refusals; the same as /metrics on the socket
  events    what happened lately: ports up, down, blocked; revisions; refusals

The socket speaks HTTP; this is the answer of `l2gw show ports --json`:
  curl --unix-socket /run/l2gw/l2gw.sock http://l2gw/v1/ports";

pub(super) const PLAN: &str = "\
Compares the file with the newest revision: objects in the file's words (+ new,
- gone, ~ changed), then what changes for a broadcast frame of each port and
VLAN. Addresses already learned play no part in it.";

pub(super) const APPLY: &str = "\
Only flows that the change meets are replaced; all other traffic goes on.

`l2gw plan` says which revision it compared with. With --against that number
nothing is applied if somebody else made a revision in between (exit code 1).";

pub(super) const FLUSH: &str = "\
Addresses declared in the file stay. What still talks is learned again at once,
by its next frame; until then frames to it go to the whole segment.

  l2gw flush macs --port vm1";

pub(super) const UNBLOCK: &str = "\
A port is blocked when a BPDU arrives where no switch belongs. Unplug that
switch first, or its next BPDU blocks the port again.";

pub(super) const DEMO: &str = "\
A switch, two physical machines, two VMs and a gateway in network namespaces of
this machine, on the real kernel datapath: needs root, iproute2, ping and a
kernel with openvswitch.ko (`make demo` boots one if need be). All of it is
removed at the end. Exits 0 if everything came as expected, else 1.";

pub(super) const COMPLETIONS: &str = "\
  l2gw completions bash > /etc/bash_completion.d/l2gw";
