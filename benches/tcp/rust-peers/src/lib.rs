//! What the echo servers have in common: the port as the argument, one thread, TCP_NODELAY, a task for each connection.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use std::fmt::Debug;
use std::net::Ipv4Addr;
use tokio::net::{TcpListener, TcpStream};

/// No message of the benchmark is refused.
pub const LIMIT: usize = 64 << 20;

/// Runs for ever.
pub fn serve<F: Future<Output = ()> + 'static>(client: fn(TcpStream) -> F) {
    let port = std::env::args().nth(1).and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        println!("ready");
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::task::spawn_local(client(stream));
        }
    })
}

/// Echoes what has come, and sends when no more has: that costs the fewest system calls that the library allows.
pub async fn echo<S, M, E>(mut socket: S, is_data: fn(&M) -> bool)
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Debug,
{
    while let Some(Ok(message)) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            if is_data(&message) && socket.feed(message).await.is_err() {
                return;
            }
            next = socket.next().now_or_never().flatten().and_then(Result::ok);
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}
