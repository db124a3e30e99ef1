//! TCP: the addresses of a name, one after the other.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::address::Address;
use super::within;
use crate::receiver::trail::{Step, Trail};

/// How many of a name's addresses are tried.
const MAX_ADDRESSES: usize = 4;

/// Connects to the first address of a host that answers.
pub(super) async fn connect(address: &Address, trail: &mut Trail<'_>) -> io::Result<TcpStream> {
    let (host, port) = (address.host(), address.port());
    trail.begin(Step::NameResolution);
    trail.note(|| host.to_owned());
    let addresses: Vec<SocketAddr> = within("name resolution", lookup_host((host, port)))
        .await?
        .take(MAX_ADDRESSES)
        .collect();
    trail.note(|| resolved(host, &addresses));
    trail.begin(Step::Tcp);
    trail.note(|| address.to_string());
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match within("TCP connect", TcpStream::connect(address)).await {
            Ok(stream) => {
                trail.note(|| address.to_string());
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(reason) => error = reason,
        }
    }
    Err(error)
}

fn resolved(host: &str, addresses: &[SocketAddr]) -> String {
    let mut ips: Vec<String> = addresses.iter().map(|at| at.ip().to_string()).collect();
    ips.dedup();
    match ips[..] {
        [ref ip] if ip == host => format!("{host} is an address"),
        _ => format!("{host} is {}", ips.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_sent_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = connect(&Address::new("localhost", port), &mut Trail::none())
            .await
            .unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
