//! Two streams that are connected, and their numbers, on each platform.

use wsabi::internals::ffi::ws_socket;

#[cfg(not(unix))]
pub use std::net::TcpStream as PairStream;
#[cfg(unix)]
pub use std::os::unix::net::UnixStream as PairStream;

/// What a callback returns where nothing can be moved now.
#[cfg(unix)]
pub const WOULD_BLOCK: i32 = libc::EAGAIN;
/// What a callback returns where nothing can be moved now: WSAEWOULDBLOCK.
#[cfg(windows)]
pub const WOULD_BLOCK: i32 = 10035;
/// The peer has reset the stream.
#[cfg(unix)]
pub const RESET: i32 = libc::ECONNRESET;
/// The peer has reset the stream: WSAECONNRESET.
#[cfg(windows)]
pub const RESET: i32 = 10054;
/// The stream is broken.
#[cfg(unix)]
pub const BROKEN: i32 = libc::EPIPE;
/// The stream is broken: ERROR_BROKEN_PIPE.
#[cfg(windows)]
pub const BROKEN: i32 = 109;

/// Two that are connected.
#[cfg(unix)]
pub fn pair() -> (PairStream, PairStream) {
    PairStream::pair().unwrap()
}

/// Two that are connected.
#[cfg(not(unix))]
pub fn pair() -> (PairStream, PairStream) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let near = PairStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

/// The number of a socket, as C has it.
#[cfg(unix)]
pub fn number(socket: &impl std::os::fd::AsRawFd) -> ws_socket {
    socket.as_raw_fd() as ws_socket
}

/// The number of a socket, as C has it.
#[cfg(windows)]
pub fn number(socket: &impl std::os::windows::io::AsRawSocket) -> ws_socket {
    socket.as_raw_socket() as ws_socket
}
