//! TLS by the server itself: `TLS_CERT_FILE` and `TLS_KEY_FILE`. Both are read again when they change, so that a renewed
//! certificate needs no restart.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::{net::TcpStream, time::MissedTickBehavior};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};

/// How often the files are looked at.
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// What a client may choose from (ALPN), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of the certificate and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// `TLS_CERT_FILE`: the certificate, then those that lead to the root.
    pub certificate: PathBuf,
    /// `TLS_KEY_FILE`: its private key.
    pub key: PathBuf,
}

/// Why the files cannot be used. Each begins with the name of the setting.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{setting}: {} cannot be read ({cause})", .file.display())]
    Unreadable {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("{setting}: {} is not a file", .file.display())]
    NoFile {
        /// The setting that names it.
        setting: &'static str,
        /// What is not a file.
        file: PathBuf,
    },
    /// A file is not what it must be.
    #[error("{setting}: {} has no {what} in PEM", .file.display())]
    NotPem {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The certificate and the key do not belong together, or are of a kind that is not supported.
    #[error("TLS_KEY_FILE: it is not the key of TLS_CERT_FILE, or not one that TLS knows ({0})")]
    Mismatch(tokio_rustls::rustls::Error),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up ({0})")]
    Setup(tokio_rustls::rustls::Error),
}

/// The contents of both files.
struct Contents {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |setting, file: &Path| {
            let unreadable = |cause| TlsError::Unreadable { setting, file: file.to_owned(), cause };
            // Before it is opened: a named pipe would wait for a writer.
            let metadata = std::fs::metadata(file).map_err(unreadable)?;
            if !metadata.is_file() {
                return Err(TlsError::NoFile { setting, file: file.to_owned() });
            }
            std::fs::read(file).map_err(unreadable)
        };
        let certificate = read("TLS_CERT_FILE", &self.certificate)?;
        Ok(Contents { certificate, key: read("TLS_KEY_FILE", &self.key)?.into() })
    }

    fn parse(&self, contents: &Contents, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let no_certificate = || TlsError::NotPem {
            setting: "TLS_CERT_FILE",
            file: self.certificate.clone(),
            what: "certificate",
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(contents.key.expose_secret()).map_err(|_| {
            TlsError::NotPem { setting: "TLS_KEY_FILE", file: self.key.clone(), what: "private key" }
        })?;
        CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Mismatch)
    }
}

/// The certificate of new connections.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Accepts TLS 1.2 and 1.3. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
    /// What the files held when they were last looked at, right or wrong; `None` if they could not be read. A wrong file is
    /// told once.
    seen: Mutex<Option<Contents>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let contents = files.read()?;
        let key = files.parse(&contents, &provider)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Mutex::new(Some(contents));
        Ok(Self(Arc::new(Inner { files, provider, current, acceptor, seen })))
    }

    /// Reads both files again if they changed. What cannot be used is told once, and the certificate before stays.
    ///
    /// # Errors
    /// When they changed and cannot be used, or cannot be read any more.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Inner { files, provider, current, seen, .. } = self.0.as_ref();
        let read = files.read();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Err(error) => seen.take().map_or(Ok(false), |_| Err(error)),
            Ok(contents) if seen.as_ref() == Some(&contents) => Ok(false),
            Ok(contents) => {
                let key = files.parse(&contents, provider);
                *seen = Some(contents);
                *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key?);
                Ok(true)
            }
        }
    }

    pub(super) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.acceptor.accept(socket).await
    }
}

/// Looks at the files from time to time, for as long as the server runs.
pub async fn keep_reloading(tls: Tls) {
    let mut interval = tokio::time::interval(RELOAD_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let files = tls.clone();
        match tokio::task::spawn_blocking(move || files.reload()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!("a new TLS certificate is used"),
            Ok(Err(error)) => {
                tracing::error!(%error, "the new TLS certificate cannot be used: the one before is kept");
            }
            // The runtime ends.
            Err(_) => return,
        }
    }
}
