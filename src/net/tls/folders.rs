//! The system's roots where they are files, and its own verifier cannot be asked. Android's is Java's, which a library in C cannot
//! call without the application's help. Knows files and certificates. Compiled for such a system (build.rs: `roots_in_folders`),
//! and for tests.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{Error, RootCertStore};
use std::path::Path;

/// The certificates in the first of these folders that has any: a file each, PEM with some text after it. What is no such
/// file is passed over. An error where there is none at all.
pub(super) fn roots(folders: &[impl AsRef<Path>]) -> Result<RootCertStore, Error> {
    let roots = folders.iter().map(|folder| roots_in(folder.as_ref())).find(|roots| !roots.is_empty());
    roots.ok_or_else(|| {
        Error::General(
            "the system has no trusted certificates where it keeps them; give some to ws_config_set_tls_roots()"
                .into(),
        )
    })
}

fn roots_in(folder: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(pem) = std::fs::read(file.path()) else { continue };
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    }
    roots
}
