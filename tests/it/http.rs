//! A web server that keeps what it is asked and answers as a test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Nothing here takes this long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It stops when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    world: Arc<World>,
    runtime: Option<Runtime>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path, and the query behind it.
    pub(crate) target: String,
    pub(crate) version: Version,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header; none where there is not exactly one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }

    /// Every header, as `name: value`.
    pub(crate) fn headers(&self) -> impl Iterator<Item = String> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| format!("{name}: {value}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// What the server does with a request that it has read to its end.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// It answers with this status, these headers and this body.
    With(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// It never answers.
    Never,
    /// It resets the connection.
    Reset,
}

impl Answer {
    /// A status and nothing else.
    pub(crate) fn status(status: u16) -> Self {
        Self::With(status, Vec::new(), Vec::new())
    }

    /// A status with one header.
    pub(crate) fn header(status: u16, name: &'static str, value: &str) -> Self {
        Self::With(status, vec![(name, value.to_owned())], Vec::new())
    }
}

/// What a test says: the answer to a request, and how many came before it.
type Say = Box<dyn Fn(usize, &Request) -> Answer + Send + Sync>;

struct World {
    say: Say,
    requests: Mutex<Vec<Request>>,
    /// Told of every request.
    arrival: Condvar,
    connections: AtomicUsize,
}

impl Server {
    /// Starts a server that answers each request as `say` has it, which hears how many came before.
    pub(crate) fn start(say: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(None, say)
    }

    /// The same over TLS.
    pub(crate) fn start_secure(
        tls: ServerConfig,
        say: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(TlsAcceptor::from(Arc::new(tls))), say)
    }

    fn start_with(
        tls: Option<TlsAcceptor>,
        say: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        // On a thread of its own, whatever the test does meanwhile.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(World {
            say: Box::new(say),
            requests: Mutex::default(),
            arrival: Condvar::new(),
            connections: AtomicUsize::new(0),
        });
        let handle = runtime.handle().clone();
        let accepting = accept(listener, tls, Arc::clone(&world), handle);
        runtime.handle().spawn(accepting);
        Self {
            address,
            world,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path that begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that have come, when `enough` of them have.
    pub(crate) fn wait_for(&self, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let requests = self.world.requests.lock().unwrap();
        let (requests, result) = self
            .world
            .arrival
            .wait_timeout_while(requests, PATIENCE, |requests| !enough(requests))
            .unwrap();
        assert!(!result.timed_out(), "only {} requests came", requests.len());
        requests.clone()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.world.connections.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    tls: Option<TlsAcceptor>,
    world: Arc<World>,
    handle: Handle,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        world.connections.fetch_add(1, SeqCst);
        stream.set_nodelay(true).unwrap();
        // A second hold on the socket, to reset it with.
        let stream = stream.into_std().unwrap();
        let hold = Arc::new(TcpStream::from_std(stream.try_clone().unwrap()).unwrap());
        let stream = TcpStream::from_std(stream).unwrap();
        let world = Arc::clone(&world);
        let tls = tls.clone();
        handle.spawn(async move {
            let Some(tls) = tls else {
                serve(stream, false, hold, world).await;
                return;
            };
            if let Ok(secure) = tls.accept(stream).await {
                let is_h2 = secure.get_ref().1.alpn_protocol() == Some(b"h2");
                serve(secure, is_h2, hold, world).await;
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    is_h2: bool,
    hold: Arc<TcpStream>,
    world: Arc<World>,
) {
    let service = service_fn(|request| answer(request, Arc::clone(&hold), Arc::clone(&world)));
    let stream = TokioIo::new(stream);
    // Connections end as they like: whoever asks sees that.
    if is_h2 {
        let serving = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service);
        serving.await.ok();
    } else {
        http1::Builder::new()
            .serve_connection(stream, service)
            .await
            .ok();
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    hold: Arc<TcpStream>,
    world: Arc<World>,
) -> Result<Response<Full<Bytes>>, Unanswered> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let request = Request {
        method: head.method.to_string(),
        target: target.to_owned(),
        version: head.version,
        headers: headers.collect(),
        body: body.to_vec(),
    };
    let before = {
        let mut requests = world.requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    };
    let answer = (world.say)(before, &request);
    // Not before: what a test notes down of a request is there when it hears of it.
    world.arrival.notify_all();
    match answer {
        Answer::With(status, headers, body) => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status.try_into().unwrap();
            for (name, value) in headers {
                let name = HeaderName::from_static(name);
                let value = HeaderValue::try_from(value).unwrap();
                response.headers_mut().append(name, value);
            }
            Ok(response)
        }
        Answer::Never => match std::future::pending::<Infallible>().await {},
        Answer::Reset => {
            hold.set_zero_linger().unwrap();
            Err(Unanswered)
        }
    }
}

/// Ends a connection without an answer.
#[derive(Debug)]
struct Unanswered;

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for Unanswered {}
