//! What `ws_service` costs a game: no message allocates once the first frames are over.

mod counting;

use counting::Counting;
use std::ptr;
use wsabi::internals::ffi::{self, ws_kind, ws_option, ws_status};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const OK: i32 = ws_status::WS_OK as i32;
const WOULD_BLOCK: i32 = ws_status::WS_ERR_WOULD_BLOCK as i32;

/// An open client and server in memory.
struct Pair {
    client: *mut ffi::ws_conn,
    server: *mut ffi::ws_conn,
}

impl Pair {
    fn new(deflate: bool) -> Self {
        let mut pair = Self { client: ptr::null_mut(), server: ptr::null_mut() };
        // SAFETY: pointers to live values, as the header asks for.
        unsafe {
            let config = ffi::ws_config_new();
            let option = ws_option::WS_OPT_DEFLATE as i32;
            assert_eq!(ffi::ws_config_set(config, option, deflate.into()), OK);
            assert_eq!(ffi::ws_client_new(config, c"ws://example.com/".as_ptr(), &mut pair.client), OK);
            assert_eq!(ffi::ws_server_new(config, &mut pair.server), OK);
            ffi::ws_config_free(config);
            carry(pair.client, pair.server);
            assert_eq!(ffi::ws_handshake(pair.server), OK);
            carry(pair.server, pair.client);
            assert_eq!(ffi::ws_handshake(pair.client), OK);
        }
        pair
    }

    /// What came of `count` messages of 200 bytes, in as many calls as it took; how often those allocated that found some.
    fn frame(&self, count: usize) -> (usize, usize) {
        let message = [b'm'; 200];
        let (mut received, mut allocated) = (0, 0);
        // SAFETY: pointers to live values, as the header asks for.
        unsafe {
            for _ in 0..count {
                let kind = ws_kind::WS_BINARY as i32;
                assert_eq!(
                    ffi::ws_write_message(self.client, kind, message.as_ptr().cast(), message.len()),
                    OK
                );
            }
            for _ in 0..100 {
                let is_all = carry(self.client, self.server);
                let before = ALLOCATOR.taken().0;
                let (mut messages, mut found, mut more) = (ptr::null(), 0, 0);
                assert_eq!(ffi::ws_service(self.server, 0, 0, &mut messages, &mut found, &mut more), OK);
                if found > 0 {
                    allocated += ALLOCATOR.taken().0 - before;
                }
                for place in 0..found {
                    let one = &**messages.add(place);
                    assert!(std::slice::from_raw_parts(one.data, one.len) == message);
                }
                received += found;
                if is_all && more == 0 {
                    break;
                }
            }
        }
        (received, allocated)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // SAFETY: both are alive.
        unsafe {
            ffi::ws_free(self.client);
            ffi::ws_free(self.server);
        }
    }
}

/// Whether all of it has been taken.
///
/// # Safety
/// Both are alive.
unsafe fn carry(from: *mut ffi::ws_conn, to: *mut ffi::ws_conn) -> bool {
    let (mut data, mut len, mut consumed) = (ptr::null(), 0, 0);
    // SAFETY: by the caller's word, and pointers to live values.
    unsafe {
        while ffi::ws_output(from, &mut data, &mut len) == OK && len > 0 {
            assert!(matches!(ffi::ws_feed(to, data, len, &mut consumed), OK | WOULD_BLOCK));
            assert_eq!(ffi::ws_output_advance(from, consumed), OK);
            if consumed < len {
                return false;
            }
        }
    }
    true
}

#[test]
fn nothing_is_allocated_for_a_message_in_the_steady_state() {
    for deflate in [false, true] {
        let pair = Pair::new(deflate);
        for _ in 0..10 {
            pair.frame(33);
        }
        for _ in 0..100 {
            let (received, allocated) = pair.frame(33);
            // A call that finds nothing gives back what messages are put together in, if they are.
            assert!(
                received == 33 && allocated <= deflate.into(),
                "{allocated} times, with deflate: {deflate}"
            );
        }
    }
}
