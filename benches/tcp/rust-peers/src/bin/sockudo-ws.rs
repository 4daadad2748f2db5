use sockudo_ws::{Config, Message, server::WebSocketServer};
use tokio::net::TcpStream;
use wsabi_bench_tcp_peers::{LIMIT, echo, serve};

async fn client(stream: TcpStream) {
    // No timers, which no other server here has.
    let config = Config::builder()
        .max_message_size(LIMIT)
        .max_frame_size(LIMIT)
        .auto_ping(false)
        .idle_timeout(0)
        .build();
    if let Ok((socket, _)) = WebSocketServer::new(config).accept_raw(stream).await {
        echo(socket, |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_))).await;
    }
}

fn main() {
    serve(client);
}
