#!/bin/sh
# /etc/libvirt/hooks/qemu: gives the links of a libvirt guest the names by which l2gw's topology knows them.
#
# libvirt names a guest's links vnet0, vnet1 and so on, anew at each start. An interface that says
#   <alias name='ua-l2gw-tap-vm1'/>
# gets the alternative name tap-vm1 here, and l2gw binds the port with `link = "tap-vm1"` to it. Interfaces without such an alias are left
# alone. libvirt calls it as root: qemu GUEST OPERATION SUB-OPERATION EXTRA, with the guest's XML on standard input.
#
# It never fails and prints nothing on standard output: libvirt ends a guest whose hook fails, and takes what it prints for XML.
# What went wrong is on standard error, and in the system's log where there is `logger`. Alternative names go with their link, so
# nothing is to be done when a guest stops. It does not call libvirt, which waits for it.

PATH=$PATH:/usr/sbin:/sbin
guest=$1
case $2 in
  # `reconnect` is for guests that are there already when libvirtd starts.
  started | reconnect) ;;
  *) exit 0 ;;
esac

complain() {
  echo "l2gw hook, guest $guest: $1" >&2
  if command -v logger >/dev/null 2>&1; then
    logger -t l2gw-hook -p daemon.warning -- "guest $guest: $1"
  fi
}

# "DEVICE ALIAS" of each interface that has both. A record is a tag with the text behind it, wherever the lines end.
interfaces() {
  awk '
    BEGIN { RS = "<" }
    function value(name,    at, rest, mark) {
      at = match($0, "[ \t\n]" name "=[\"\047]")
      if (!at) return ""
      rest = substr($0, at + RLENGTH)
      mark = substr($0, at + RLENGTH - 1, 1)
      return substr(rest, 1, index(rest, mark) - 1)
    }
    /^metadata[ \t\n>]/ { foreign = 1 }
    /^\/metadata[ \t\n>]/ { foreign = 0 }
    foreign { next }
    /^interface[ \t\n>]/ { inside = 1; device = ""; alias = "" }
    inside && /^target[ \t\n]/ { device = value("dev") }
    inside && /^alias[ \t\n]/ { alias = value("name") }
    /^\/interface[ \t\n>]/ {
      if (inside && device != "" && alias != "") print device, alias
      inside = 0
    }
  '
}

# name_link DEVICE NAME
name_link() {
  case $2 in
    *[!A-Za-z0-9_-]* | -* | "" | ????????????????*)
      complain "alias ua-l2gw-$2: what follows ua-l2gw- is no name of a link, allowed are 1 to 15 of A-Z, a-z, 0-9, _ and -, - not first"
      return
      ;;
  esac
  # It has the name already: it is called so, or the hook has been here before.
  case " $(ip -o link show dev "$1" 2>/dev/null | tr '\\\n' '  ') " in
    *" altname $2 "* | *": $2: "* | *": $2@"*) return ;;
  esac
  said=$(ip link property add dev "$1" altname "$2" 2>&1) ||
    complain "$1 does not get the name $2: ${said:-ip failed}"
}

interfaces | while read -r device alias; do
  case $alias in
    ua-l2gw-*) name_link "$device" "${alias#ua-l2gw-}" ;;
  esac
done
exit 0
