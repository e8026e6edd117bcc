//! TLS on the API's TCP sockets: the server shows a certificate and, as Docker's `--tlsverify`, demands one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::settings::Settings;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("--tlsverify needs --tlscacert, --tlscert and --tlskey")]
    Incomplete,
    #[error("read the certificate or key in {}", .0.display())]
    Pem(PathBuf, #[source] rustls::pki_types::pem::Error),
    #[error("use the authority in {}", .0.display())]
    Authority(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("use the server's certificate")]
    Certificate(#[source] rustls::Error),
}

/// What accepts TLS, if the settings ask for it.
pub(crate) fn acceptor(settings: &Settings) -> Result<Option<TlsAcceptor>, TlsError> {
    if !settings.tlsverify {
        return Ok(None);
    }
    let (Some(authority), Some(certificate), Some(key)) =
        (&settings.tlscacert, &settings.tlscert, &settings.tlskey)
    else {
        return Err(TlsError::Incomplete);
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider.clone())
            .build()
            .map_err(|e| TlsError::Authority(authority.clone(), e.into()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| TlsError::Pem(key.clone(), e))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Certificate)?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(certificate)?, key)
        .map_err(TlsError::Certificate)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|e| TlsError::Authority(file.to_owned(), e.into()))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e| TlsError::Pem(file.to_owned(), e))
}

/// A failed handshake in one line.
pub(crate) fn refused(error: &io::Error) -> String {
    format!("a client's TLS handshake failed: {error}")
}
