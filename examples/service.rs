//! An HTTP server that samples and scores with one model, which all requests share.
//!
//! ```sh
//! pushforward train toy:moons -o moons.pf
//! cargo run --release --example service -- moons.pf 127.0.0.1:8080
//! curl localhost:8080/model
//! curl localhost:8080/sample -d '{"rows": 3, "seed": 7}'       # "first": 1000 goes on behind the first 1000 rows of that seed
//! curl localhost:8080/score -d '{"x": [[0.5, -1.0], [0, 0]]}'  # log-densities in nats; null where the density is 0
//! ```
//! What is refused has a status from 400 on and says why: `{"error": "..."}`. Ctrl-C or SIGTERM ends it: no connection is taken any
//! more, what is under way is answered. `--short` trains a model, starts a server on a free port of this machine and asks it over TCP:
//! samples and scores must be those of the model without a server, to the bit.
//!
//! # Limits
//! [`Limits`] bounds the rows and bytes of a request, computations at once, and the time for a head and a body. Connections are not
//! counted, and there is no TLS: both are for a proxy in front. For models of numbers without conditions; `table` shows the others.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Divergence, Flow, Mlp, Rng, Solver, Tensor, Trainer, data::toy};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// What one request may ask for, and how many computations there are at once: each takes all threads of the pool.
struct Limits {
    rows: usize,
    bytes: usize,
    computations: usize,
    patience: Duration,
}

const LIMITS: Limits =
    Limits { rows: 10_000, bytes: 1 << 20, computations: 2, patience: Duration::from_secs(10) };

/// What all requests share: a `Flow` is `Send` and `Sync`.
struct Service {
    flow: Flow,
    limits: Limits,
    free: Arc<Semaphore>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    rows: usize,
    #[serde(default)]
    first: usize,
    #[serde(default)]
    seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    x: Vec<Vec<f64>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Found {
    Model { columns: Option<Vec<String>>, dim: usize, most_rows: usize },
    Samples { x: Vec<Vec<f32>>, nfe: f64 },
    Scores { log_density: Vec<f64> },
    Refused { error: String },
}

/// A status, and what is wrong.
type Refused = (StatusCode, String);

fn bad(why: impl ToString) -> Refused {
    (StatusCode::BAD_REQUEST, why.to_string())
}

/// The library's errors say what to do; they are the caller's where they are about what the caller gave.
fn of_library(error: pushforward::Error) -> Refused {
    use pushforward::Error::{Dimension, NotFinite, Setting};
    match error {
        Setting { .. } | Dimension { .. } | NotFinite { .. } => bad(error),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

impl Service {
    fn new(flow: Flow, limits: Limits) -> Arc<Self> {
        Arc::new(Self { flow, free: Arc::new(Semaphore::new(limits.computations)), limits })
    }

    fn check_rows(&self, rows: usize) -> Result<(), Refused> {
        let most = self.limits.rows;
        if (1..=most).contains(&rows) {
            Ok(())
        } else {
            Err(bad(format!("{rows} rows: ask for 1 to {most}")))
        }
    }

    fn sample(&self, Sample { rows, first, seed }: &Sample) -> Result<Found, Refused> {
        self.check_rows(*rows)?;
        let end = first.checked_add(*rows).ok_or_else(|| bad("`first` is too large"))?;
        let streams = Rng::from_seed(*seed).fork(Purpose::Source);
        let drawn = self.flow.sample_rows(*first..end, &Solver::dopri5(), streams).map_err(of_library)?;
        Ok(Found::Samples { x: (0..*rows).map(|i| drawn.x.row(i).to_vec()).collect(), nfe: drawn.stats.nfe })
    }

    fn score(&self, Score { x }: Score) -> Result<Found, Refused> {
        self.check_rows(x.len())?;
        let (rows, d) = (x.len(), self.flow.dim());
        if let Some(i) = x.iter().position(|row| row.len() != d) {
            return Err(bad(format!("row {i} (counted from 0) has {} numbers, not {d}", x[i].len())));
        }
        let x = Tensor::from_vec(x.into_iter().flatten().collect(), rows, d).map_err(of_library)?;
        let (solver, mut rng) = (Solver::dopri5(), Rng::from_seed(0)); // which the exact divergence does not use
        let scores = self.flow.log_density(&x, Divergence::Exact, &solver, &mut rng).map_err(of_library)?;
        Ok(Found::Scores { log_density: scores.log_density })
    }

    fn compute(&self, path: &str, body: &[u8]) -> Result<Found, Refused> {
        if path == "/sample" {
            self.sample(&serde_json::from_slice(body).map_err(bad)?)
        } else {
            self.score(serde_json::from_slice(body).map_err(bad)?)
        }
    }

    /// Reads the body of a request within the limits.
    async fn body(&self, body: Incoming) -> Result<Bytes, Refused> {
        let Limits { bytes, patience, .. } = self.limits;
        let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {bytes} bytes"));
        if body.size_hint().lower() > bytes as u64 {
            return Err(too_large()); // by what its head says, before any of it is read
        }
        match timeout(patience, Limited::new(body, bytes).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => Err(bad(error)),
            Err(_) => Err((StatusCode::REQUEST_TIMEOUT, format!("the body took longer than {patience:?}"))),
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Found, Refused> {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/model") => Ok(Found::Model {
                columns: self.flow.header().map(<[String]>::to_vec),
                dim: self.flow.dim(),
                most_rows: self.limits.rows,
            }),
            (&Method::POST, "/sample" | "/score") => {
                let body = self.body(request.into_body()).await?;
                let busy = |_| (StatusCode::SERVICE_UNAVAILABLE, "too many at once: try again".to_owned());
                let free = Arc::clone(&self.free).try_acquire_owned().map_err(busy)?;
                // Off the threads that serve connections, and counted to its end, also if nobody waits for it any more.
                let computation = move || {
                    let found = self.compute(&path, &body);
                    drop(free);
                    found
                };
                let computed = tokio::task::spawn_blocking(computation).await;
                computed.unwrap_or_else(|e| Err((StatusCode::INTERNAL_SERVER_ERROR, e.to_string())))
            }
            (_, "/model" | "/sample" | "/score") => {
                Err((StatusCode::METHOD_NOT_ALLOWED, "GET /model, POST /sample, POST /score".into()))
            }
            _ => Err((StatusCode::NOT_FOUND, format!("no {path}: there are /model, /sample and /score"))),
        }
    }
}

/// The answer as HTTP.
async fn respond(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, found) = match service.answer(request).await {
        Ok(found) => (StatusCode::OK, found),
        Err((status, error)) => (status, Found::Refused { error }),
    };
    let body = serde_json::to_vec(&found).unwrap_or_default(); // numbers and texts: it cannot fail
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Serves until `stop`, then answers what is under way.
async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let patience = service.limits.patience;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience);
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => { // out of descriptors, as a rule: others are closed in a while
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let service = Arc::clone(&service);
        let answer = service_fn(move |request| respond(Arc::clone(&service), request));
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move { drop(connection.await) }); // whoever broke it off knows
    }
    drop(listener);
    drop(timeout(patience, open.shutdown()).await);
    Ok(())
}

/// Serves on the threads of a runtime of its own.
fn run(listener: TcpListener, service: Arc<Service>, stop: impl Future<Output = ()>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(listener, service, stop))
}

/// A signal to end.
async fn signalled() {
    #[cfg(unix)]
    if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! { _ = term.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
        return;
    }
    drop(tokio::signal::ctrl_c().await);
}

/// Starts a server on a free port of this machine, hands its address to `f` and stops it.
fn with_server<T>(service: Arc<Service>, f: impl FnOnce(SocketAddr) -> T) -> io::Result<T> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| run(listener, service, async move { drop(stopped.await) }));
        let found = f(address);
        drop(stop);
        server.join().map_err(|_| io::Error::other("the server panicked"))?.map(|()| found)
    })
}

/// Asks a server, `what` being a method and a path: the status and the answer.
fn ask(address: SocketAddr, what: &str, body: &str) -> io::Result<(u16, Value)> {
    let length = body.len();
    send(
        address,
        &format!("{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"),
    )
}

/// Sends these bytes and reads the answer to the end.
fn send(address: SocketAddr, request: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, serde_json::from_str(body)?))
}

fn trained(steps: u64) -> pushforward::Result<Flow> {
    let mut rng = Rng::from_seed(0);
    let x_1: Tensor = toy::moons(2000, &mut rng);
    let velocity = Mlp::new(2, &[32, 32], &mut rng)?;
    Trainer::new(AffinePath::default()).steps(steps).batch(256).fit(velocity, &x_1, &mut rng)
}

/// Whether samples and scores of a server are those of its model.
fn agrees(address: SocketAddr, flow: &Flow) -> Result<bool, Box<dyn std::error::Error>> {
    let direct = flow.sample(5, &Solver::dopri5(), &mut Rng::from_seed(7))?.x;
    let (status, drawn) = ask(address, "POST /sample", r#"{"rows": 3, "first": 2, "seed": 7}"#)?;
    let rows: Vec<Vec<f32>> = serde_json::from_value(drawn["x"].clone())?;
    let same_rows = rows.iter().enumerate().all(|(i, row)| row == direct.row(2 + i));
    let scores = flow.log_density(&direct, Divergence::Exact, &Solver::dopri5(), &mut Rng::from_seed(0))?;
    let x: Vec<&[f32]> = (0..5).map(|i| direct.row(i)).collect();
    let (scored, found) = ask(address, "POST /score", &serde_json::to_string(&json!({ "x": x }))?)?;
    let found: Vec<f64> = serde_json::from_value(found["log_density"].clone())?;
    let same_scores = found.iter().map(|x| x.to_bits()).eq(scores.log_density.iter().map(|x| x.to_bits()));
    Ok(status == 200 && rows.len() == 3 && same_rows && scored == 200 && same_scores)
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--short"] => {
            let flow = trained(1000)?;
            let agrees = with_server(Service::new(flow.clone(), LIMITS), |address| {
                println!("GET /model: {}", ask(address, "GET /model", "")?.1);
                println!("POST /sample: {}", ask(address, "POST /sample", r#"{"rows": 2}"#)?.1);
                println!("POST /sample: {}", ask(address, "POST /sample", r#"{"rows": 0}"#)?.1);
                agrees(address, &flow)
            })??;
            assert!(agrees, "the server gives other numbers than its model");
            println!("samples and scores are those of the model, to the bit");
            Ok(())
        }
        [model, address] => {
            let (service, listener) = (Service::new(Flow::load(model)?, LIMITS), TcpListener::bind(address)?);
            println!("http://{}", listener.local_addr()?);
            Ok(run(listener, service, signalled())?)
        }
        _ => Err("usage: service MODEL ADDRESS, such as moons.pf 127.0.0.1:8080, or service --short".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Few rows and bytes, and little patience.
    const TIGHT: Limits =
        Limits { rows: 20, bytes: 400, computations: 2, patience: Duration::from_millis(300) };

    fn with_limits<T>(limits: Limits, f: impl FnOnce(SocketAddr) -> T) -> T {
        with_server(Service::new(trained(20).unwrap(), limits), f).unwrap()
    }

    #[test]
    fn it_answers_as_its_model() {
        with_limits(TIGHT, |address| {
            assert!(agrees(address, &trained(20).unwrap()).unwrap());
            let (status, model) = ask(address, "GET /model", "").unwrap();
            assert_eq!((status, model), (200, json!({ "columns": null, "dim": 2, "most_rows": 20 })));
        });
    }

    #[test]
    fn many_ask_at_once() {
        with_limits(Limits { computations: 8, ..TIGHT }, |address| {
            let asked: Vec<_> = (0..8)
                .map(|seed| {
                    let body = json!({ "rows": 20, "seed": seed % 2 }).to_string();
                    std::thread::spawn(move || ask(address, "POST /sample", &body).unwrap())
                })
                .collect();
            let found: Vec<_> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
            assert!(found.iter().all(|(status, _)| *status == 200));
            assert!((2..8).all(|i| found[i] == found[i % 2]) && found[0] != found[1]);
        });
    }

    #[test]
    fn what_is_asked_wrongly_is_refused() {
        with_limits(TIGHT, |address| {
            let large = "x".repeat(401);
            for (what, body, status, says) in [
                ("GET /", "", 404, "/sample"),
                ("GET /sample", "", 405, "POST /sample"),
                ("POST /sample", "", 400, "EOF"),
                ("POST /sample", "{}", 400, "missing field `rows`"),
                ("POST /sample", r#"{"row": 1}"#, 400, "unknown field `row`"),
                ("POST /sample", r#"{"rows": 0}"#, 400, "0 rows: ask for 1 to 20"),
                ("POST /sample", r#"{"rows": 21}"#, 400, "21 rows: ask for 1 to 20"),
                ("POST /sample", r#"{"rows": -1}"#, 400, "invalid value"),
                ("POST /sample", r#"{"rows": 1, "first": 18446744073709551615}"#, 400, "too large"),
                ("POST /sample", &large, 413, "at most 400 bytes"),
                ("POST /score", r#"{"x": []}"#, 400, "0 rows"),
                (
                    "POST /score",
                    r#"{"x": [[0, 0], [1]]}"#,
                    400,
                    "row 1 (counted from 0) has 1 numbers, not 2",
                ),
                ("POST /score", r#"{"x": [[1e300, 0]]}"#, 400, "too far from the training data"),
                ("POST /score", r#"{"x": [[1e999, 0]]}"#, 400, "number out of range"),
            ] {
                let (found, answer) = ask(address, what, body).unwrap();
                let error = answer["error"].as_str().unwrap();
                assert!(found == status && error.contains(says), "{what} {body}: {found} {error}");
            }
        });
    }

    #[test]
    fn no_length_is_trusted() {
        with_limits(TIGHT, |address| {
            let head = "POST /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
            for rest in [
                "Content-Length: 1000000000000000\r\n\r\n".to_owned(), // and no byte of it
                format!("Transfer-Encoding: chunked\r\n\r\n191\r\n{}\r\n0\r\n\r\n", "1".repeat(401)), // of unknown length
            ] {
                assert_eq!(send(address, &format!("{head}{rest}")).unwrap().0, 413, "{rest}");
            }
        });
    }

    #[test]
    fn who_is_slow_is_not_waited_for() {
        with_limits(TIGHT, |address| {
            let body = send(
                address,
                "POST /sample HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n{",
            );
            assert_eq!(body.unwrap().0, 408);
            // Half a head is closed upon, with an answer or without one; the test's own patience is 60 s.
            assert_ne!(send(address, "POST /sample HTTP/1.1\r\nHo").map_or(0, |(status, _)| status), 200);
        });
    }

    #[test]
    fn too_many_are_sent_away() {
        with_limits(Limits { computations: 0, ..TIGHT }, |address| {
            assert_eq!(ask(address, "POST /sample", r#"{"rows": 1}"#).unwrap().0, 503);
        });
    }

    #[test]
    fn a_stop_is_clean() {
        // What is under way is answered, and an idle connection holds nothing up.
        let limits = Limits { rows: 100_000, computations: 1, patience: Duration::from_secs(60), ..TIGHT };
        let service = Service::new(trained(20).unwrap(), limits);
        let free = Arc::clone(&service.free);
        let (address, asked, idle) = with_server(service, |address| {
            let idle = TcpStream::connect(address).unwrap();
            let asked =
                std::thread::spawn(move || ask(address, "POST /sample", r#"{"rows": 100000}"#).unwrap());
            while free.available_permits() == 1 && !asked.is_finished() {
                std::thread::yield_now();
            }
            (address, asked, idle)
        })
        .unwrap();
        let (status, drawn) = asked.join().unwrap();
        assert_eq!((status, drawn["x"].as_array().unwrap().len()), (200, 100_000));
        drop(idle);
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
}
