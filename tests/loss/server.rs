//! A webhook server that answers as it is told, well or badly.
//!
//! HTTP/1.1 with `Content-Length`, which is all that the requests under test need.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// A request, with the connection that it came on.
#[derive(Debug)]
pub(crate) struct Request {
    /// The run of the daemon in which the connection was made.
    pub(crate) run: u32,
    /// The header `webhook-id`.
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A status, with these seconds in `Retry-After`.
    Status(u16, Option<u32>),
    /// A status after so long.
    Late(Duration, u16),
    /// None, for as long as the connection stands.
    Never,
    /// The connection is reset.
    Reset,
}

/// Who decides what is answered.
pub(crate) trait Judge: Send + Sync + 'static {
    /// The run that a new connection belongs to.
    fn run(&self) -> u32 {
        0
    }

    /// A request has arrived.
    fn arrived(&self, request: &Request) -> Answer;

    /// It is answered now.
    fn answering(&self, _request: &Request, _answer: Answer) {}
}

/// The server; it serves as long as its runtime.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(runtime: &Handle, judge: Arc<impl Judge>) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = runtime.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let judge = Arc::clone(&judge);
                // An error is the client's end, which is nothing special here.
                connections.spawn(async move { drop(serve(stream, &*judge).await) });
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

async fn serve(stream: TcpStream, judge: &impl Judge) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let run = judge.run();
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream, run).await? {
        let answer = judge.arrived(&request);
        match answer {
            Answer::Never => {
                // Whatever comes, most likely the end.
                stream.read_u8().await?;
                return Ok(());
            }
            Answer::Reset => return stream.get_ref().set_zero_linger(),
            Answer::Late(delay, _) => tokio::time::sleep(delay).await,
            Answer::Status(..) => {}
        }
        judge.answering(&request, answer);
        if let Answer::Status(status, _) | Answer::Late(_, status) = answer {
            let retry_after = match answer {
                Answer::Status(_, Some(seconds)) => format!("retry-after: {seconds}\r\n"),
                _ => String::new(),
            };
            let text =
                format!("HTTP/1.1 {status} As told\r\n{retry_after}content-length: 0\r\n\r\n");
            stream.write_all(text.as_bytes()).await?;
        }
    }
    Ok(())
}

/// The next request; none where the connection ends before it.
async fn read(stream: &mut BufReader<TcpStream>, run: u32) -> io::Result<Option<Request>> {
    let (mut length, mut id, mut line) = (0, String::new(), String::new());
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            "webhook-id" => value.clone_into(&mut id),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { run, id, body }))
}
