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

/// As many messages are echoed together at most.
const TOGETHER: usize = 256;

/// Reads all that has come, then echoes it together: as few system calls as the library allows. (Some send what waits
/// whenever they are asked for the next message.)
pub async fn echo<S, M, E>(mut socket: S, is_data: fn(&M) -> bool)
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Debug,
{
    let mut messages = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        messages.push(message);
        while messages.len() < TOGETHER
            && let Some(Some(Ok(message))) = socket.next().now_or_never()
        {
            messages.push(message);
        }
        for message in messages.drain(..).filter(is_data) {
            if socket.feed(message).await.is_err() {
                return;
            }
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}
