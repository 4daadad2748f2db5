use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};
use wsabi_bench_tcp_peers::{LIMIT, echo, serve};

async fn client(stream: TcpStream) {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    if let Ok(socket) = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await {
        echo(socket, |message: &Message| message.is_text() || message.is_binary()).await;
    }
}

fn main() {
    serve(client);
}
