//! Compressed messages: permessage-deflate (RFC 7692). Knows the extension's parameters and bytes; must not know frames,
//! queues or sockets.

mod codec;
pub(crate) mod negotiate;

pub(crate) use codec::{Deflater, Inflated, Inflater};
pub(crate) use negotiate::Agreed;
