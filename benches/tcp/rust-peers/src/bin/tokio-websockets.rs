use tokio::net::TcpStream;
use tokio_websockets::{Config, Limits, Message, ServerBuilder};
use wsabi_bench_tcp_peers::{LIMIT, echo, serve};

async fn client(stream: TcpStream) {
    let builder = ServerBuilder::new()
        .config(Config::default().frame_size(LIMIT)) // messages go out in one frame, as those of all the others
        .limits(Limits::default().max_payload_len(Some(LIMIT)));
    if let Ok((_, socket)) = builder.accept(stream).await {
        echo(socket, |message: &Message| message.is_text() || message.is_binary()).await;
    }
}

fn main() {
    serve(client);
}
