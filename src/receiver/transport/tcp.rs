//! TCP: the addresses of a name, one after the other.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::address::Address;
use super::within;

/// How many of a name's addresses are tried.
const MAX_ADDRESSES: usize = 4;

/// Connects to the first address of a host that answers.
pub(super) async fn connect(address: &Address) -> io::Result<TcpStream> {
    let (host, port) = (address.host(), address.port());
    let addresses: Vec<SocketAddr> = within("name resolution", lookup_host((host, port)))
        .await?
        .take(MAX_ADDRESSES)
        .collect();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match within("TCP connect", TcpStream::connect(address)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(reason) => error = reason,
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_sent_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = connect(&Address::new("localhost", port)).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
