//! What broadcast_server does, with tungstenite: the other side of the comparison that `make idle` prints.
//!
//!     tungstenite-relay READ_BUFFER [CERT KEY]
//!
//! READ_BUFFER is tungstenite's option of that name, 131072 by its default. Nothing is shed, no deadlines.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, Read, Write};
use std::sync::Arc;
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::server::{NoCallback, ServerHandshake};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

type Tls = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

enum Client {
    Opening(MidHandshake<ServerHandshake<Stream, NoCallback>>),
    Open(WebSocket<Stream>),
}

const LISTENER: Token = Token(usize::MAX);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let read_buffer = arguments.get(1).and_then(|text| text.parse().ok()).expect("READ_BUFFER [CERT KEY]");
    let tls = arguments.get(3).map(|key| {
        let chain = CertificateDer::pem_file_iter(&arguments[2]).unwrap().map(|one| one.unwrap()).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        Arc::new(config)
    });
    let config = WebSocketConfig::default().read_buffer_size(read_buffer);

    let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    println!("listening on {scheme}://{}/", listener.local_addr().unwrap());

    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            if event.token() != LISTENER {
                serve(&mut clients, event.token().0);
                continue;
            }
            while let Ok((mut socket, _)) = listener.accept() {
                socket.set_nodelay(true).unwrap();
                let token = Token(clients.len());
                poll.registry()
                    .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
                    .unwrap();
                let stream = match &tls {
                    Some(config) => {
                        let session = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                        Stream::Tls(Box::new(Tls::new(session, socket)))
                    }
                    None => Stream::Plain(socket),
                };
                clients.push(opened(tungstenite::accept_with_config(stream, Some(config))));
            }
        }
    }
}

type Opened = Result<WebSocket<Stream>, HandshakeError<ServerHandshake<Stream, NoCallback>>>;

fn opened(result: Opened) -> Option<Client> {
    match result {
        Ok(socket) => Some(Client::Open(socket)),
        Err(HandshakeError::Interrupted(middle)) => Some(Client::Opening(middle)),
        Err(HandshakeError::Failure(_)) => None,
    }
}

fn serve(clients: &mut [Option<Client>], place: usize) {
    if let Some(Client::Opening(_)) = &clients[place]
        && let Some(Client::Opening(middle)) = clients[place].take()
    {
        clients[place] = opened(middle.handshake());
    }
    while let Some(Client::Open(socket)) = &mut clients[place] {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => relay(clients, &message),
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = socket.flush();
                return;
            }
            Err(_) => clients[place] = None,
        }
    }
}

fn relay(clients: &mut [Option<Client>], message: &Message) {
    for client in clients {
        if let Some(Client::Open(socket)) = client {
            let _ = socket.send(message.clone()); // the payload is shared
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(session) => session.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(session) => session.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(session) => session.flush(),
        }
    }
}
