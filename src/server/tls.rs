//! TLS as libpq means it: what is checked depends on `sslmode`, and certificates made by the recipes of PostgreSQL's manual
//! are taken. Makes the client's configuration; opens no connection.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use x509_cert::{
    Certificate,
    der::{Decode, oid::db::rfc4519::CN},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::config::conninfo::{
    RootCert, SslMode, TlsSettings,
    files::{self, Refused},
};

/// TLS of a connection, as the header shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`, as PostgreSQL writes them.
    pub version: &'static str,
    /// Name of the cipher suite, when it could be read.
    pub cipher: Option<String>,
    /// What was checked of the server's certificate.
    pub checked: Checked,
}

/// How much of a server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Nothing: the line is encrypted, to whomever.
    Nothing,
    /// A trusted authority made it.
    Authority,
    /// A trusted authority made it for this host.
    Host,
}

/// A problem with certificates before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProblem {
    /// One sentence.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl TlsProblem {
    fn new(message: String, remedy: &'static str) -> Self {
        Self { message, remedy }
    }
}

/// A client configuration and what it will check.
#[derive(Debug, Clone)]
pub struct Client {
    /// For the connector.
    pub config: ClientConfig,
    /// What it checks.
    pub checked: Checked,
}

/// The configuration for `mode` (at least `allow`). Reads certificate files.
pub fn client(settings: &TlsSettings, mode: SslMode) -> Result<Client, TlsProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = roots(settings, mode)?;
    let checked = match (mode, &roots) {
        (SslMode::VerifyFull, _) => Checked::Host,
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => Checked::Authority,
        (SslMode::Require | SslMode::Prefer | SslMode::Allow | SslMode::Disable, _) => Checked::Nothing,
    };
    let verifier = Verifier {
        checked,
        algorithms: provider.signature_verification_algorithms,
        chain: match &roots {
            Some(certs) if checked != Checked::Nothing => Some(chain_verifier(certs, settings, &provider)?),
            _ => None,
        },
        pinned: roots.unwrap_or_default(),
    };
    let versions: Vec<_> = [(settings.tls13, &rustls::version::TLS13), (settings.tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter_map(|(wanted, version)| wanted.then_some(version))
        .collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|e| TlsProblem::new(format!("could not set up TLS: {e}"), ""))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match settings.client.as_ref().filter(|files| files.cert.exists()) {
        None if settings.client_required => {
            return Err(TlsProblem::new(
                "could not follow sslcertmode=require: there is no client certificate".into(),
                "name it with sslcert and sslkey, or put it into ~/.postgresql/postgresql.crt and postgresql.key",
            ));
        }
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = certificates(&files.cert)?;
            let key = private_key(&files.key)?;
            builder.with_client_auth_cert(chain, key).map_err(|e| {
                TlsProblem::new(
                    format!("could not use client certificate {}: {e}", files.cert.display()),
                    "sslkey must be the key of sslcert",
                )
            })?
        }
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    config.enable_sni = settings.sni;
    Ok(Client { config, checked })
}

/// Version and cipher from the suite's number.
#[must_use]
pub fn info(cipher: Option<u16>, checked: Checked) -> TlsInfo {
    let name = cipher.and_then(|number| rustls::CipherSuite::from(number).as_str());
    let tls13 = cipher.is_none_or(|number| number >> 8 == 0x13);
    TlsInfo { version: if tls13 { "TLSv1.3" } else { "TLSv1.2" }, cipher: name.map(str::to_owned), checked }
}

/// Trusted certificates, or `None` where the mode does without.
fn roots(settings: &TlsSettings, mode: SslMode) -> Result<Option<Vec<CertificateDer<'static>>>, TlsProblem> {
    let verify = mode >= SslMode::VerifyCa;
    let file = match &settings.root {
        RootCert::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err(TlsProblem::new(
                    "could not find the system's certificate authorities".into(),
                    "name a file of certificates with sslrootcert=",
                ));
            }
            return Ok(Some(found.certs));
        }
        RootCert::File(file) => Some(file),
        RootCert::Default(file) => file.as_ref(),
    };
    match file {
        Some(file) if mode >= SslMode::Require && (verify || file.exists()) => certificates(file).map(Some),
        None if verify => Err(TlsProblem::new(
            format!("could not check the server's certificate as sslmode={} asks: no root certificate", mode.as_str()),
            "name the authority's certificate with sslrootcert=FILE, put it in ~/.postgresql/root.crt, or write sslrootcert=system",
        )),
        Some(_) | None => Ok(None),
    }
}

fn chain_verifier(
    certs: &[CertificateDer<'static>],
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsProblem> {
    let mut store = RootCertStore::empty();
    let (_, _) = store.add_parsable_certificates(certs.iter().cloned());
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
    let lists = revocation_lists(settings)?;
    if !lists.is_empty() {
        builder = builder.with_crls(lists);
    }
    builder.build().map_err(|e| {
        TlsProblem::new(
            format!("could not use the root certificates: {e}"),
            "sslrootcert must name a PEM file of authorities",
        )
    })
}

/// What `sslcrl` and `sslcrldir` name; empty when neither does, or the one file is not there.
fn revocation_lists(settings: &TlsSettings) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsProblem> {
    let none = |path: &Path| {
        TlsProblem::new(
            format!("could not read {}: it holds no revocation list in PEM", path.display()),
            "sslcrl must name a file of revoked certificates, sslcrldir a directory that `openssl rehash` went through",
        )
    };
    let of_file = |path: &Path| -> Result<Vec<_>, TlsProblem> {
        let bytes = read(path, files::read_plain)?;
        Ok(CertificateRevocationListDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect())
    };
    let mut lists = Vec::new();
    if let Some(path) = settings.crl.as_deref().filter(|path| path.exists()) {
        lists = of_file(path)?;
        if lists.is_empty() {
            return Err(none(path));
        }
    }
    if let Some(dir) = &settings.crl_dir {
        let before = lists.len();
        for entry in std::fs::read_dir(dir).map_err(|_| none(dir))?.filter_map(Result::ok) {
            let path = entry.path();
            let hashed = path.extension().and_then(|e| e.to_str()).and_then(|e| e.strip_prefix('r'));
            if hashed.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())) {
                lists.extend(of_file(&path)?);
            }
        }
        if lists.len() == before {
            return Err(none(dir));
        }
    }
    Ok(lists)
}

fn read(path: &Path, how: fn(&Path) -> Result<Vec<u8>, Refused>) -> Result<Vec<u8>, TlsProblem> {
    how(path).map_err(|refused| {
        let why = match refused {
            Refused::Missing => "it does not exist".to_owned(),
            Refused::Because(why) => why,
        };
        TlsProblem::new(format!("could not read {}: {why}", path.display()), "check sslrootcert, sslcert and sslkey")
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let bytes = read(path, files::read_plain)?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certs {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        Ok(_) | Err(_) => Err(TlsProblem::new(
            format!("could not read {}: it holds no certificate in PEM", path.display()),
            "check sslrootcert and sslcert",
        )),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    let bytes = read(path, files::read_key)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let encrypted = String::from_utf8_lossy(&bytes).contains("ENCRYPTED");
        TlsProblem::new(
            format!(
                "could not read key {}: {}",
                path.display(),
                if encrypted { "it is encrypted" } else { "it is no key in PEM" }
            ),
            "sslkey must name an unencrypted PEM key; `openssl pkey -in OLD -out NEW` removes a passphrase",
        )
    })
}

/// libpq's rules on top of the usual ones. The chain is always judged before the name, so that a wrong name is the only
/// fault left when a wrong name is reported.
#[derive(Debug)]
struct Verifier {
    checked: Checked,
    algorithms: WebPkiSupportedAlgorithms,
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The trusted certificates themselves: the manual's self-signed server certificate is its own authority.
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let wrong_name = match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Ok(verified) => return Ok(verified),
            Err(rustls::Error::InvalidCertificate(
                why @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
            )) => rustls::Error::InvalidCertificate(why),
            Err(fault) => {
                if !self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
                    return Err(fault);
                }
                in_date(end_entity, now)?;
                match ParsedCertificate::try_from(end_entity)
                    .and_then(|parsed| verify_server_name(&parsed, server_name))
                {
                    Ok(()) => return Ok(ServerCertVerified::assertion()),
                    Err(why) => why,
                }
            }
        };
        if self.checked == Checked::Authority || name_matches(end_entity, server_name) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(wrong_name)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

fn in_date(cert: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let parsed = Certificate::from_der(cert).map_err(|_| CertificateError::BadEncoding)?;
    let validity = &parsed.tbs_certificate.validity;
    let now = now.as_secs();
    if now < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// libpq's wider rules: a star stands for the first label of any name, `*.test` too; and where there are no alternative
/// DNS names, the common name counts.
fn name_matches(cert: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(parsed) = Certificate::from_der(cert) else { return false };
    let tbs = &parsed.tbs_certificate;
    let (host, is_address) = match name {
        ServerName::DnsName(dns) => (dns.as_ref().to_owned(), false),
        ServerName::IpAddress(ip) => (std::net::IpAddr::from(*ip).to_string(), true),
        _ => return false,
    };
    match tbs.get::<SubjectAltName>() {
        Ok(None) => {}
        Ok(Some((_, names))) => {
            let decides = |n: &GeneralName| {
                matches!(n, GeneralName::DnsName(_)) || (is_address && matches!(n, GeneralName::IpAddress(_)))
            };
            if names.0.iter().any(decides) {
                return !is_address
                    && names
                        .0
                        .iter()
                        .any(|n| matches!(n, GeneralName::DnsName(name) if matches(name.as_str(), &host)));
            }
        }
        Err(_) => return false,
    }
    let mut common_names = tbs
        .subject
        .0
        .iter()
        .flat_map(|set| set.0.iter())
        .filter(|attribute| attribute.oid == CN)
        .map(|a| a.value.value());
    common_names.next().is_some_and(|cn| std::str::from_utf8(cn).is_ok_and(|cn| matches(cn, &host)))
}

/// A pattern is a name, or `*.` and a name: the star is one whole label.
fn matches(pattern: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(suffix), Some((label, rest))) => !label.is_empty() && suffix.eq_ignore_ascii_case(rest),
        _ => false,
    }
}

/// A failed handshake as a sentence, and what to do about the kinds we know.
#[must_use]
pub fn explain(error: &rustls::Error) -> (String, Option<&'static str>) {
    let text = error.to_string();
    if format!("{error:?}").contains("UnsupportedCertVersion") {
        return (
            "the server's certificate is X.509 version 1".into(),
            Some("remake it with a subjectAltName, which makes it version 3 (openssl: -addext or -extfile)"),
        );
    }
    let rustls::Error::InvalidCertificate(why) = error else {
        let remedy = match error {
            rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired) => {
                Some("the server wants a client certificate: sslcert and sslkey")
            }
            rustls::Error::AlertReceived(_) => Some("the server refused the handshake; its log says why"),
            rustls::Error::NoApplicationProtocol => {
                Some("leave sslnegotiation=direct out: the server is older than 17")
            }
            _ => None,
        };
        return (text, remedy);
    };
    let remedy = match why {
        CertificateError::UnknownIssuer => {
            Some("its authority is not trusted here: name that authority's certificate with sslrootcert=FILE")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("connect by a name the certificate has, or write sslmode=verify-ca to check only its authority")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("the server's certificate has run out; it must be renewed")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("the certificate is not valid yet; compare the clocks")
        }
        CertificateError::Revoked => Some("the certificate was revoked (sslcrl)"),
        _ if text.contains("CaUsedAsEndEntity") => {
            Some("the server uses an authority's certificate as its own: put exactly that certificate into sslrootcert")
        }
        _ => None,
    };
    (text, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        for (pattern, host, expected) in [
            ("db.test", "DB.test", true),
            ("*.test", "db.test", true),
            ("*.test", "a.db.test", false),
            ("*.test", ".test", false),
            ("*", "db", false),
            ("d*.test", "db.test", false),
            ("10.0.0.1", "10.0.0.1", true),
        ] {
            assert_eq!(matches(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn the_cipher_tells_the_version() {
        assert_eq!(info(Some(0x1302), Checked::Nothing).version, "TLSv1.3");
        let old = info(Some(0xC02F), Checked::Nothing);
        assert_eq!(old.version, "TLSv1.2");
        assert_eq!(old.cipher.as_deref(), Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
    }
}
