//! Models of src/net/signal.rs: every order in which threads can take turns in it, by loom. The file that is checked is the
//! library's own, and each promise holds for it. For each copy with a fault in it (see build.rs) one does not.

#![cfg(test)]

mod sync;

/// Each promise of the file as it is.
macro_rules! holds {
    ($($promise:ident)*) => {
        $(#[test] fn $promise() { as_it_is::models::$promise() })*
    };
}

/// The fault in this copy.
macro_rules! is_found {
    ($copy:ident: $($promise:ident)*) => {
        #[test]
        fn $copy() {
            find(stringify!($copy), &[$((stringify!($promise), $copy::models::$promise)),*]);
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/copies.rs"));

/// A model that fails may take its process with it, so that each has one of its own: this test again, for one of them.
fn find(copy: &str, promises: &[(&str, fn())]) {
    const ONE: &str = "LOOM_PROMISE";
    if let Ok(one) = std::env::var(ONE) {
        return promises.iter().filter(|(name, _)| *name == one).for_each(|(_, model)| model());
    }
    let holds = |promise: &str| {
        let mut run = std::process::Command::new(std::env::current_exe().unwrap());
        let run = run.args(["--exact", copy]).env(ONE, promise).env("RUST_BACKTRACE", "0").output().unwrap();
        assert!(String::from_utf8_lossy(&run.stdout).contains("running 1 test"), "there is no {copy}");
        run.status.success()
    };
    let (broken, _) =
        promises.iter().find(|(promise, _)| !holds(promise)).expect("a promise that is not kept");
    println!("{copy}: it does not hold that {}", broken.replace('_', " "));
}
