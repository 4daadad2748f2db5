//! All that depends on the platform. Nothing else in the crate names a system call, a descriptor or `libc`: a platform is a
//! directory here, and gives what these tables list under the same names. Knows errors; must not know
//! connections, transports or C.
//!
//! Always:
//!
//! | what | promise |
//! | --- | --- |
//! | `set_errno(code)` | the thread's errno (Windows: what `WSAGetLastError` and `errno` give) is `code` |
//! | `error_of(code)` | the error with this number, which a callback of C gave (Windows: errno and Winsock have numbers of their own) |
//! | `describe_error(code, room)` | writes the system's words for an error code, in the language of `io::Error`, and a NUL; takes no memory |
//! | `wipe_on_fork(start, len)` | whether the child of a fork() will find this memory zeroed. False, where it cannot: then [`look`] asks for the process id. Without fork(), see [`Process`] |
//!
//! With the feature `net`:
//!
//! | what | promise |
//! | --- | --- |
//! | `RawSocket` | a socket by its number: a copy that closes nothing (a descriptor; `SOCKET`) |
//! | `OwnedSocket`, `BorrowedSocket` | a socket that is closed when this is dropped; one that somebody else keeps open |
//! | `raw(socket)`, `number(raw)`, `lend(socket)` | the number of a socket; the same as `ws_socket`, where −1 is none; the socket as a `BorrowedSocket` |
//! | `borrow(number)` | the stream socket with this number, made ready for the calls below where that has to be done once (macOS: SO_NOSIGPIPE. Windows: FIONBIO, and WSAStartup) |
//! | `own(socket)` | a socket of the library's own, made ready in the same way |
//! | `as_socket!(Type)` | implements the traits by which std lends a socket (`AsFd`; `AsSocket`) for a `Type` that has `lend()` |
//! | `recv`, `send`, `send_vectored` | move what can be moved without waiting, whatever the flags of the socket; `WouldBlock` where nothing can; never SIGPIPE; any number of pieces (macOS: IOV_MAX is 1024. Windows: counts are u32) |
//! | `end_sending(socket)` | the peer will read the end |
//! | `is_in_progress(error)` | a connect() that did not wait has begun (EINPROGRESS; WSAEWOULDBLOCK) |
//! | `share_address(socket, reuse_port)` | before bind(): a port whose last listener is gone is free at once, one that is in use is not (Windows: SO_REUSEADDR must not be set); `reuse_port`: several listeners share it, or `Error::Unsupported` |
//! | `unix_address(path)` | the address of a Unix socket, which may be an abstract name (`@`) |
//! | `path(bytes)` | the path that these bytes name |
//! | `FileId`, `file_at(path)`, `file_exists()` | what is at a path, without following a link: whether it is a socket, and by what another file at the same path is told apart; the error that says that something is there |
//! | `PollEntry`, `poll_entry`, `poll`, `is_ready` | waits for some sockets, or for none; may end early; readiness, errors and the end all count (Windows: an entry without a socket has to be left out) |
//! | `Watch` | a socket that a mio poll tells changes of, for as long as it exists and neither side has ended it: the caller asks a socket until `WouldBlock`, and is then told of the next change (Windows: mio only knows its own sockets, so this holds a `ManuallyDrop<mio::net::TcpStream>`) |
//! | `Watch::TELLS_ONCE`, `Watch::told`, `Watcher::ask_again`, `Watcher::rest` | whether an end of what there was is told once only, and has to be asked for again after each `WouldBlock`; nobody has taken yet what was told of (Windows, where mio waits for levels) |
//! | `Watcher` | watches and wakes a mio poll from any thread |
//! | `Bundle`, `InBundle`, `Notifier` | sockets that connect and what threads find out, waited for in one: a socket that becomes readable (Windows: a completion port cannot be polled: a loopback socket that is signalled) |
//! | `WakePair` | what ends a `poll` that another thread waits in; a descriptor or more, made only by a thread that waits (Windows: a loopback pair that checks its peer's port) |
//! | `ThreadId`, `start_thread`, `join_thread`, `detach_thread` | a thread that takes no signals and leaves no destructor in its maker; where it has been joined the library can be unloaded |
//!
//! Without that feature `none` stands in: no socket can exist.

mod process;
#[cfg(feature = "net")]
mod thread;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod platform;
#[cfg(windows)]
#[path = "windows/mod.rs"]
mod platform;
#[cfg(target_os = "wasi")]
#[path = "wasi/mod.rs"]
mod platform;
#[cfg(not(any(unix, windows, target_os = "wasi")))]
compile_error!("wsabi has no directory in src/sys for this platform");

#[cfg(not(feature = "net"))]
mod none;

#[cfg(not(feature = "net"))]
pub(crate) use self::none::*;
pub(crate) use self::platform::*;
pub(crate) use self::process::{Process, look};
#[cfg(feature = "net")]
pub(crate) use self::thread::Thread;
