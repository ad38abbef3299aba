//! Which process has a UDP port, as far as `/proc` says (proc(5)): a socket of the kernel itself has none.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::netlink::socket::Home;

/// A process that has a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    process: u32,
    name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.process, self.name)
    }
}

impl Holder {
    /// The process that has a UDP port in a namespace; none if it cannot be found. It looks at every descriptor of every process.
    pub(crate) fn of_udp_port(home: &Home, port: u16) -> Option<Holder> {
        let tables = ["udp", "udp6"].map(|table| home.read_net(table).unwrap_or_default());
        let sockets: Vec<String> = tables.iter().flat_map(|table| sockets_of(table, port)).collect();
        if sockets.is_empty() {
            return None;
        }
        let processes = fs::read_dir("/proc").ok()?.flatten();
        processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|process: u32| {
            let path = Path::new("/proc").join(process.to_string());
            let has = |fd: fs::DirEntry| {
                fs::read_link(fd.path())
                    .is_ok_and(|to| sockets.iter().any(|socket| to.as_os_str() == socket.as_str()))
            };
            // Of processes of others, and of those that end meanwhile, nothing can be read.
            fs::read_dir(path.join("fd")).ok()?.flatten().any(has).then_some(())?;
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            Some(Holder { process, name: name.trim_end().to_owned() })
        })
    }
}

/// What descriptors of sockets with this port lead to: `sl`, `local_address` as hexadecimal address and port, and so on; the tenth field is the
/// inode, 0 for the kernel's own.
fn sockets_of(table: &str, port: u16) -> Vec<String> {
    let socket = |line: &str| {
        let mut fields = line.split_whitespace();
        let (_, local) = fields.nth(1)?.rsplit_once(':')?;
        let inode = fields.nth(7)?;
        (u16::from_str_radix(local, 16) == Ok(port) && inode != "0").then(|| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_process_that_has_a_port_is_found() {
        let home = Home::here().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let holder = Holder::of_udp_port(&home, port).unwrap();
        assert_eq!(holder.process, std::process::id());
        assert!(holder.to_string().starts_with(&format!("process {} (", holder.process)), "{holder}");
        drop(socket);
        assert_eq!(Holder::of_udp_port(&home, port), None);
    }

    #[test]
    fn a_table_of_sockets_is_read_by_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     17: 0100007F:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000 0\n\
                     18: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000 0\n\
                     19: 00000000:12B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000 0\n\
                     20: cut";
        assert_eq!(sockets_of(table, 4_789), ["socket:[4711]"]);
        assert_eq!(sockets_of(table, 1), [""; 0]);
    }
}
